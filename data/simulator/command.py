"""`python -m data demo`: a simulated network in a lake, or as Parquet snapshots in a folder."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from data.console import ProgressBars
from data.lake.tables import Lake
from data.schema.errors import SettingError
from data.simulator.options import SimulationOptions, floor_to_tick
from data.simulator.publish import (
    FolderOutlet,
    LakeOutlet,
    Outlet,
    TickPace,
    resume_simulation,
    run_live,
    write_folder,
    write_lake,
    write_samples,
)
from data.simulator.simulation import Simulation, simulate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `demo`."""
    parser.add_argument("--sites", type=int, default=48, help="sites of the network (default: %(default)s)")
    parser.add_argument("--days", type=int, default=180, help="days of telemetry (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=7, help="the same seed and end give the same bytes (default: %(default)s)"
    )
    parser.add_argument(
        "--end", type=_end, help="end of the telemetry, like 2026-05-01T12:00Z (default: now, to five minutes)"
    )
    parser.add_argument(
        "--incident-rate",
        type=float,
        default=1.0,
        help="how often incidents strike, times usual (default: %(default)s)",
    )
    parser.add_argument("--lake", default="var/lake", help="a folder or an s3:// address (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write Parquet snapshots there, one a day, instead of a lake"
    )
    parser.add_argument("--if-empty", action="store_true", help="do nothing where the lake holds telemetry already")
    parser.add_argument(
        "--live", action="store_true", help="go on: append what arrives every five minutes, until Ctrl-C"
    )
    parser.add_argument("--ticks", type=int, help="with --live: stop after so many ticks")
    parser.add_argument(
        "--interval", type=float, metavar="SECONDS", help="with --live: tick so often, whatever the clock says"
    )
    parser.add_argument(
        "--samples", type=Path, metavar="FOLDER", help="write one small snapshot of each table there, and nothing else"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do what the options say; 0 when done. Raises SettingError where the lake holds something else."""
    if arguments.samples is not None:
        _say(f"{len(write_samples(arguments.samples))} samples in {arguments.samples}")
    elif arguments.out is not None:
        _go_on(arguments, _into_folder(_options(arguments), arguments.out), FolderOutlet(arguments.out))
    else:
        lake = Lake(arguments.lake)
        _go_on(arguments, _into_lake(arguments, lake), LakeOutlet(lake))
    return 0


def _into_folder(options: SimulationOptions, folder: Path) -> Simulation:
    simulation = simulate(options)
    with ProgressBars() as bars:
        rows = write_folder(simulation, folder, bars.update)
    _say(f"{rows:,} rows of {options.sites} simulated sites in {folder}")
    return simulation


def _into_lake(arguments: argparse.Namespace, lake: Lake) -> Simulation | None:
    """The simulation that the lake holds in the end: the one asked for or, to go on with or where it suffices, the one
    it held; else None.
    """
    simulated, count = resume_simulation(lake), lake.read("snapshots").num_rows
    if simulated is not None and (arguments.live or arguments.if_empty):
        _say(f"{lake.url} holds a simulated network up to {simulated.options.end:%Y-%m-%d %H:%M} UTC")
        return simulated
    if count and arguments.if_empty and not arguments.live:
        _say(f"{lake.url} holds telemetry already")
        return None
    if count:
        raise SettingError(
            f"The lake {lake.url} holds {count} snapshots already.",
            cause="it was filled before, by a demo or by ingest",
            remedy="name another with --lake, remove the folder, or give --if-empty to leave it as it is",
        )
    simulation = simulate(_options(arguments))
    with ProgressBars() as bars:
        rows = write_lake(simulation, lake, bars.update)
    _say(f"{rows:,} rows of {arguments.sites} simulated sites in {lake.url}")
    return simulation


def _go_on(arguments: argparse.Namespace, simulation: Simulation | None, outlet: Outlet) -> None:
    """Tick on where --live says so."""
    if not arguments.live or simulation is None:
        return
    _say("live: a tick every five minutes; Ctrl-C ends it")
    ticks = run_live(
        simulation,
        outlet,
        TickPace(arguments.ticks, arguments.interval),
        lambda until, rows: _say(f"{until:%Y-%m-%d %H:%M} UTC: {rows} rows arrived"),
    )
    _say(f"{ticks} ticks written")


def _options(arguments: argparse.Namespace) -> SimulationOptions:
    end = arguments.end or floor_to_tick(datetime.now(UTC))
    return SimulationOptions(
        end=end, sites=arguments.sites, days=arguments.days, seed=arguments.seed, incident_rate=arguments.incident_rate
    )


def _end(text: str) -> datetime:
    """An ISO date or time; without a zone it is UTC."""
    try:
        end = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO time, like 2026-05-01T12:00Z") from error
    return end if end.tzinfo else end.replace(tzinfo=UTC)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

"""`python -m data`: take snapshots in, watch an inbox, look after the lake, or make a simulated one."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from data.ingest import command
from data.lake.object_store import disk_full

INTERRUPTED = 130


class Command(NamedTuple):
    """A command: what it is for, its options, and what it does."""

    purpose: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _add_demo(parser: argparse.ArgumentParser) -> None:
    from data.simulator.command import add_arguments  # the simulator is large, and only its own commands wait for it

    add_arguments(parser)


def _demo(arguments: argparse.Namespace) -> int:
    from data.simulator.command import run

    return run(arguments)


def _add_samples(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("data/samples"), help="where to (default: %(default)s)"
    )


def _samples(arguments: argparse.Namespace) -> int:
    from data.simulator.publish import write_samples

    command.print_lines(str(path) for path in write_samples(arguments.folder))
    return command.FINE


COMMANDS = {
    "ingest": Command("take snapshots in, exactly once", command.add_ingest, command.ingest),
    "check": Command("say what ingest would do, and write nothing", command.add_ingest, command.check),
    "watch": Command("poll an inbox, and take in what is dropped into it", command.add_watch, command.watch),
    "status": Command(
        "what the lake holds, how fresh it is, what was refused", command.add_status, command.show_status
    ),
    "vacuum": Command("compact small files, delete what no version needs", command.add_vacuum, command.vacuum),
    "rollup": Command("make the hourly and daily figures anew", command.add_rollup, command.rollup),
    "demo": Command("make a simulated lake", _add_demo, _demo),
    "samples": Command("write one small Parquet snapshot of each table", _add_samples, _samples),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; 0 fine, 1 something was quarantined, 2 it could not be done. A fault is one line, never a
    trace.
    """
    parser = argparse.ArgumentParser(
        prog="python -m data", description="Take telemetry snapshots in, and look after the lake."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (purpose, add_arguments, _) in COMMANDS.items():
        options = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if name in arguments:  # no other command's options are needed
            add_arguments(options)
    chosen = parser.parse_args(arguments)
    try:
        return COMMANDS[chosen.command].run(chosen)
    except command.EXPECTED as error:
        shown = disk_full(str(getattr(error, "filename", None) or "."), error) or error
        command.print_lines([f"python -m data {chosen.command}: {command.one_line(shown)}"], errors=True)
        return command.USAGE
    except KeyboardInterrupt:
        return INTERRUPTED


def _end(*_: object) -> NoReturn:
    """End as Ctrl-C does: what was committed stays, what was not is taken in the next time."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    logging.getLogger("stamina").setLevel(
        logging.ERROR
    )  # that another writer was first, and the work is redone, is no news
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main(sys.argv[1:]))

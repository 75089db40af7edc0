"""`python -m forecasting`: refresh the forecasts of a lake, tell of the last refreshes, plan from them, or backtest and
forecast the series of a file.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from data.ingest.command import EXPECTED, one_line, set_aside_lines
from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.queries import runs
from forecasting.cli.backtest import add_backtest, backtest
from forecasting.cli.detect import add_detect, detect
from forecasting.cli.explain import add_explain, explain
from forecasting.cli.forecast import add_forecast, forecast
from forecasting.refresh import ENGINES, Summary, refresh
from forecasting.refresh.run import NOTE

FINE, UNUSABLE, INTERRUPTED = 0, 2, 130
# Series that are named with their reason; the table `series_status` and the Models page have them all.
NAMED_AT_MOST = 10
LISTED = 10


def main(arguments: Sequence[str]) -> int:
    """Run one command; 0 fine, 2 it could not be done, 130 interrupted. A fault is one line, never a trace."""
    options = parse(arguments)
    try:
        return RUN[options.command](options)
    except EXPECTED as error:
        print(f"python -m forecasting {options.command}: {one_line(error)}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print("interrupted: nothing was published, the last run still serves", file=sys.stderr)
        return INTERRUPTED


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command and its options."""
    parser = argparse.ArgumentParser(
        prog="python -m forecasting", description="Forecast the series of a lake or of a file."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    refresh_parser = commands.add_parser(
        "refresh",
        help="forecast and publish one run",
        description="Forecast every series of a lake and publish one run.",
    )
    refresh_parser.add_argument(
        "--engine", choices=sorted(ENGINES), default="panel", help="what forecasts (default: %(default)s)"
    )
    refresh_parser.add_argument("--workers", type=int, help="worker processes (default: one for each processor)")
    refresh_parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    status_parser = commands.add_parser(
        "status", help="how the last refreshes went", description="How the last refreshes went."
    )
    plan_parser = commands.add_parser(
        "plan",
        help="what to order by when",
        description="When each site, region and the network runs out; what to order by when.",
    )
    if "plan" in arguments:
        from forecasting.cli.plan import (
            add_plan,  # its solvers take a second to import, in each worker of a refresh too
        )

        add_plan(plan_parser)
    for command in (refresh_parser, status_parser, plan_parser):
        command.add_argument(
            "--lake",
            default=os.environ.get("HEADROOM_LAKE", "var/lake"),
            help="a folder or an s3:// address (default: %(default)s)",
        )
    add_backtest(
        commands.add_parser(
            "backtest", help="score models on the series of a file", description="Score models on the series of a file."
        )
    )
    add_forecast(
        commands.add_parser(
            "forecast",
            help="forecast the series of a file",
            description="Forecast the series of a file, with quantiles.",
        )
    )
    add_detect(
        commands.add_parser(
            "detect",
            help="score every row of a file for how anomalous it is",
            description="Score every row of a file, 0 to 1, for how anomalous it is, knowing nothing of later rows.",
        )
    )
    add_explain(
        commands.add_parser(
            "explain",
            help="which combination of attributes holds the excess of bad events of one minute",
            description="Rank the combinations of attributes that best explain the bad events of one minute.",
        )
    )
    return parser.parse_args(arguments)


def _refresh(options: argparse.Namespace) -> int:
    summary = refresh(Lake(options.lake), engine=options.engine, workers=options.workers, bar=not options.quiet)
    if not options.quiet:
        report(summary)
    return FINE


def report(summary: Summary) -> None:
    """Print what was published, which series have no forecast and why, and which sites a sum is forecast without."""
    print(summary)
    missing = summary.series_status[summary.series_status["status"] != "fitted"].sort_values(
        ["status", "level", "key", "metric"]
    )
    for fit in missing.head(NAMED_AT_MOST).itertuples(index=False):
        print(f"  {fit.status} {fit.level}/{fit.key}/{fit.metric}: {fit.reason}")
    if len(missing) > NAMED_AT_MOST:
        print(f"  and {len(missing) - NAMED_AT_MOST} more")
    sums = summary.series_status[summary.series_status["level"] != "site"].query("status == 'fitted'")
    for fit in sums[sums["reason"].notna()].sort_values(["level", "key", "metric"]).itertuples(index=False):
        print(f"  {fit.level}/{fit.key}/{fit.metric}: {fit.reason}")
    for line in set_aside_lines(summary.set_aside.to_dict("records"), summary.level_changes.to_dict("records")):
        print(line)


def _status(options: argparse.Namespace) -> int:
    lake = Lake(options.lake)
    pin = lake.pin()
    note = lake.read_note(NOTE) if pin.versions else None
    if note and note.get("state") in ("running", "failed", "refused"):
        at, done, total, message = (note.get(name, "?") for name in ("updated", "done", "total", "message"))
        print(f"{note['state']} at {at}, {done} of {total} series: {message}")
    newest = runs(pin, EVERYTHING, limit=LISTED)
    for run in newest.itertuples(index=False):
        print(run_line(run))
    if newest.empty:
        print(f"{lake.url} has no published run; `python -m forecasting refresh` makes one.")
    return FINE


def run_line(run: Any) -> str:
    """A row of `runs` in words."""
    when = f"{run.started:%Y-%m-%d %H:%M} UTC, {run.seconds:.0f} s, {run.engine}, telemetry until {run.telemetry_until:%Y-%m-%d %H:%M} UTC"
    return f"run {run.number}: {when}: {run.fitted} fitted, {run.refused} refused, {run.failed} failed"


def _plan(options: argparse.Namespace) -> int:
    from forecasting.cli.plan import plan  # deferred as above

    return plan(options)


RUN = {
    "refresh": _refresh,
    "status": _status,
    "backtest": backtest,
    "forecast": forecast,
    "plan": _plan,
    "detect": detect,
    "explain": explain,
}


def _interrupt(*_: object) -> NoReturn:
    """End as Ctrl-C does: nothing is published, the last run serves."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main(sys.argv[1:]))

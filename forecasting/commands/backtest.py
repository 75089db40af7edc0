"""`python -m forecasting backtest`: how good is each model on the series of a file, and what would be drawn?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path

from data.errors import SettingError
from forecasting.commands import contest, scoreboard
from forecasting.commands.asked import Asked, add_panel, asked, usable
from forecasting.commands.panel_file import Part, actuals, read
from forecasting.commands.scoreboard import Scoreboard
from forecasting.evaluation.expect import ORIGINS
from forecasting.models.history import Reals
from forecasting.refresh.workers import pool

# An origin needs a third of the history before it, or its forecasts tell of beginnings only.
KNOWN_AT_LEAST = 1 / 3


def add_backtest(parser: argparse.ArgumentParser) -> None:
    """The options of `backtest`."""
    add_panel(parser)
    parser.add_argument("--origins", type=int, default=5, help="past origins that are scored, a horizon apart; with --test there is one (default: %(default)s)")
    parser.add_argument("--models", metavar="NAMES", help="joined by commas, such as prophet,panel,blend (default: panel, blend and the baselines)")
    parser.add_argument("--test", type=Path, metavar="FILE", help="what came after the end of the panel: only this is scored, and nothing is chosen on it")
    parser.add_argument("--workers", type=int, help="worker processes for prophet (default: one for each processor)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all scores, those of each series too; - for standard output")


def backtest(options: argparse.Namespace) -> int:
    """Score, print a table, and write JSON where that is asked for; raises SettingError for what cannot be used."""
    given, board = asked(options), Scoreboard()
    models = contest.checked(options.models.split(",") if options.models else contest.default_models(given.seasons), given.seasons)
    board.refused, board.notes = dict(given.refused), list(given.panel.notes)
    with ExitStack() as stack:
        executor = stack.enter_context(pool(options.workers)) if contest.PROPHET in models else None
        for part, actual in _tested(given, options.test) if options.test else _past(given, options.origins):
            score(board, part, actual, models, executor)
    if not board.series:
        raise SettingError(f"No series could be scored over {given.horizon} steps of {given.panel.step}.",
                           cause="the history is too short for this horizon", remedy="bring more history, or shorten --horizon")  # fmt: skip
    about = {"horizon": given.horizon, "step": str(given.panel.step), "season": list(given.seasons), "origins": 1 if options.test else options.origins}
    report = board.report(models, about)
    if str(options.json) != "-":
        scoreboard.show(report)
    if options.json:
        scoreboard.write(report, options.json)
    return 0


def score(board: Scoreboard, part: Part, actual: Reals, models: list[str], executor: Executor | None) -> None:
    """Score one origin, the end of the part, by what came (H, N)."""
    told, drawn = contest.tell(part.history, len(actual), models, ORIGINS, executor)
    board.add(part.names, contest.scores(part.history, told, actual))
    for model, one in told.items():
        board.seconds[model] += one.seconds
    board.licences |= {name: drawn.licences(place) for place, name in enumerate(part.names)}


def _tested(given: Asked, path: Path) -> Iterator[tuple[Part, Reals]]:
    """The ends of the panel, and what the test file says came after."""
    test = read(path, given.panel.step)
    for part in given.parts:
        actual = actuals(test, part, given.horizon)
        if not (actual == actual).any():
            first = part.history.ahead(1)[0]
            raise SettingError(f"{path} has no value of {', '.join(part.names[:3])} within {given.horizon} steps from {given.panel.written([first])[0]} on.",
                               cause="it holds other series, or its stamps begin anew", remedy="go on with the panel's own stamps or row numbers")  # fmt: skip
        yield part, actual


def _past(given: Asked, count: int) -> Iterator[tuple[Part, Reals]]:
    """Earlier ends of the panel, a horizon apart where the history allows, and what came after each."""
    if count < 1:
        raise SettingError(f"{count} origins are none.", cause="--origins was mistyped", remedy="name at least one")
    for part in given.parts:
        history, horizon = part.history, given.horizon
        least = max(2 * history.short, int(KNOWN_AT_LEAST * len(history.stamps)))
        apart = max(min(horizon, (len(history.stamps) - horizon - least) // max(count - 1, 1)) // history.short, 1) * history.short
        for place in reversed(range(count)):
            origin = len(history.stamps) - horizon - place * apart
            if origin < least:
                continue
            known, _ = usable(Part(part.names, history.until(origin)))
            columns = [part.names.index(name) for name in known.names]
            if columns:
                yield known, history.measured[origin : origin + horizon, columns]

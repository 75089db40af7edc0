"""`python -m forecasting backtest`: how good is each model on the series of a file, and what would be drawn?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import numpy as np

from data.schema.errors import SettingError
from forecasting.cli import model_comparison
from forecasting.cli.model_comparison import Scoreboard
from forecasting.cli.panel_file import PanelFile, PanelPart, actuals, read
from forecasting.cli.panel_options import (
    NAMED_AT_MOST,
    PanelOptions,
    add_models,
    add_panel,
    at_least_one,
    first_names,
    listed_with_reasons,
    models_of,
    panel_options,
    usable_part,
    worker_pool,
)
from forecasting.evaluation.cold_start import refusals
from forecasting.evaluation.model_selection import ORIGINS
from forecasting.panel.history import History, Reals

# An origin needs a third of the history before it, or its forecasts tell of beginnings only.
KNOWN_AT_LEAST = 1 / 3


def add_backtest(parser: argparse.ArgumentParser) -> None:
    """The options of `backtest`."""
    add_panel(parser)
    parser.add_argument(
        "--origins",
        type=int,
        default=5,
        help="past origins that are scored, a horizon apart; with --actuals there is one (default: %(default)s)",
    )
    add_models(parser, "prophet_map, blend and the baselines")
    parser.add_argument(
        "--actuals",
        type=Path,
        metavar="FILE",
        help="what came after the end of the panel: only this is scored, and nothing is chosen on it",
    )
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help="write all scores, those of each series too; - for standard output"
    )


def backtest(options: argparse.Namespace) -> int:
    """Score, print a table, and write JSON where that is asked for; raises SettingError for what cannot be used."""
    request, board, count = panel_options(options), Scoreboard(), at_least_one(options.origins)
    models = models_of(options, request.seasons, model_comparison.default_models(request.seasons))
    board.refused, board.notes = dict(request.refused), list(request.notes)
    with worker_pool(options, models) as executor:
        for part, actual in (
            _actuals_of_file(request, options.actuals, board) if options.actuals else _past_origins(request, count)
        ):
            score_origin(board, part, actual, models, executor)
    _note_unscored(board, request, 1 if options.actuals else count)
    about = {
        "horizon": request.horizon,
        "step": request.panel.grid.words,
        "season": list(request.seasons),
        "origins_asked": 1 if options.actuals else count,
    }
    report = board.report(models, about)
    if str(options.json) != "-":
        model_comparison.print_scores(report)
    if options.json:
        model_comparison.write_json(report, options.json)
    return 0


def score_origin(
    board: Scoreboard, part: PanelPart, actual: Reals, models: list[str], executor: Executor | None
) -> None:
    """Score one origin, the end of the part, by what came (H, N); a series of which nothing came is forecast with the
    others, and not scored.
    """
    has_actual = np.asarray(np.isfinite(actual).any(axis=0))
    if not has_actual.any():
        return
    forecasts, selected = model_comparison.forecast_models(part.history, len(actual), models, ORIGINS, executor)
    names = [name for name, is_scored in zip(part.names, has_actual, strict=True) if is_scored]
    scores = model_comparison.score_forecasts(part.history, forecasts, actual)
    board.add(
        names,
        {model: {kind: values[has_actual] for kind, values in by_score.items()} for model, by_score in scores.items()},
    )
    board.spend(names, {model: forecast.seconds for model, forecast in forecasts.items()})
    board.licences |= {name: selected.licences(place) for place, name in enumerate(part.names) if has_actual[place]}


def _note_unscored(board: Scoreboard, request: PanelOptions, count: int) -> None:
    """Every series that was not scored gets its reason, and those that were scored less than was asked for get a note;
    raises SettingError where none was.
    """
    for part in request.parts:
        missed = [name for name in part.names if name not in board.origins and name not in board.refused]
        board.refused |= {name: _unscored(part, name, request.horizon, count) for name in missed}
    if not board.origins:
        raise SettingError(
            f"No series could be scored over {request.horizon} steps of {request.panel.grid.words} ({listed_with_reasons(board.refused)}).",
            cause="the history is too short for this horizon",
            remedy="bring more history, or shorten --horizon",
        )
    fewer = {name: scored for name, scored in sorted(board.origins.items()) if scored < count}
    if fewer:
        were = "was" if len(fewer) == 1 else "were"
        board.notes.append(
            f"{len(fewer)} series {were} scored at fewer origins than the {count} asked for, for want of history or of values: {listed_with_reasons(fewer)}"
        )


def _unscored(part: PanelPart, name: str, horizon: int, count: int) -> str:
    """Why no past origin could score a series: what comes after the last one always has the series' last value."""
    series = part.names.index(name)
    life = len(part.history.stamps) - int(np.isfinite(part.history.measured[:, series]).argmax())
    places, least = list(origins(part.history, horizon, count)), 2 * part.history.short
    if not places or life < least + horizon:
        return f"{life} steps are too few: an origin needs {least} before it and {horizon} after it"
    return f"before the last origin: {refusals(part.history.until(places[-1]).of(np.array([series])))[0]}"


def _actuals_of_file(request: PanelOptions, path: Path, board: Scoreboard) -> Iterator[tuple[PanelPart, Reals]]:
    """The ends of the panel, and what the test file says came after; series without a usable value there are
    refused.
    """
    actuals_file = read(path, like=request.panel.grid)
    board.notes += [
        f"{path.name}: {note}" for note in [*actuals_file.notes, *_unknown_series_notes(actuals_file, request.panel)]
    ]
    pairs = []
    for part in request.parts:
        sound = np.array([name not in actuals_file.refused for name in part.names])
        pairs.append((part, np.where(sound, actuals(actuals_file, part, request.horizon), np.nan)))
        board.refused |= _unscored_reasons(request, actuals_file, part, pairs[-1][1], path)
    if not any(np.isfinite(actual).any() for _, actual in pairs):
        raise SettingError(
            _no_actuals_message(request, actuals_file, path),
            cause="it holds other series, or its stamps begin anew",
            remedy="go on with the panel's own stamps or row numbers",
        )
    yield from pairs


def _unscored_reasons(
    request: PanelOptions, test: PanelFile, part: PanelPart, actual: Reals, path: Path
) -> dict[str, str]:
    """Why those series of a part that a test file tells nothing of cannot be scored."""
    blank = np.asarray(~np.isfinite(actual).any(axis=0))
    return {
        name: f"{path.name}: {test.refused[name]}"
        if name in test.refused
        else f"{path.name} has no value of it within {request.horizon} steps from {_first_ahead(request, part, name)} on"
        for name, none in zip(part.names, blank, strict=True)
        if none
    }


def _no_actuals_message(request: PanelOptions, test: PanelFile, path: Path) -> str:
    """Message about a test file by which nothing can be scored."""
    part = request.parts[0]
    broken = f"; it is refused for {listed_with_reasons(test.refused)}" if test.refused else ""
    first = _first_ahead(request, part, part.names[0])
    return f"{path} has no value of {', '.join(part.names[:NAMED_AT_MOST])} within {request.horizon} steps from {first} on{broken}."


def _first_ahead(request: PanelOptions, part: PanelPart, name: str) -> str:
    """The first stamp after the end of a series, as the panel writes it."""
    return request.panel.grid.text(name, part.ahead(name, 1)[0])


def _unknown_series_notes(test: PanelFile, panel: PanelFile) -> list[str]:
    """A note where a test file holds series that the panel does not."""
    names = sorted(set(test.frame["series_id"]) - set(panel.frame["series_id"]))
    return (
        [
            f"{len(names)} of its series {'is' if len(names) == 1 else 'are'} not in the panel, and not scored: {first_names(names)}"
        ]
        if names
        else []
    )


def _past_origins(request: PanelOptions, count: int) -> Iterator[tuple[PanelPart, Reals]]:
    """Earlier ends of the panel and what came after each."""
    for part in request.parts:
        for origin in origins(part.history, request.horizon, count):
            usable, _ = usable_part(replace(part, history=part.history.until(origin)))
            columns = [part.names.index(name) for name in usable.names]
            if columns:
                yield usable, part.history.measured[origin : origin + request.horizon, columns]


def origins(history: History, horizon: int, count: int) -> Iterator[int]:
    """Steps known at each past origin, oldest first: a horizon apart where the history allows, fewer than `count` where
    it is short.
    """
    length, least = len(history.stamps), least_known(history)
    apart = max(min(horizon, (length - horizon - least) // max(count - 1, 1)) // history.short, 1) * history.short
    for place in reversed(range(count)):
        if (origin := length - horizon - place * apart) >= least:
            yield origin


def least_known(history: History) -> int:
    """Steps that must be known at an origin."""
    return max(2 * history.short, int(KNOWN_AT_LEAST * len(history.stamps)))

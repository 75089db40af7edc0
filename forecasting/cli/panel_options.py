"""Options that `backtest` and `forecast` share, and the panel that these name."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.schema.errors import SettingError
from forecasting.cli import model_comparison
from forecasting.cli.panel_file import PanelFile, PanelPart, check_zone, parts, read, seasons_of, sparse, steps
from forecasting.evaluation.cold_start import refusals
from forecasting.refresh.workers import pool

# Series that a sentence names; the report has all of them.
NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class PanelOptions:
    """A panel, the steps to forecast, its seasons in steps, its parts that can be forecast, the reasons of those series
    that cannot, and what to know of it.
    """

    panel: PanelFile
    horizon: int
    seasons: tuple[int, ...]
    parts: list[PanelPart]
    refused: dict[str, str]
    notes: list[str]


def add_panel(parser: argparse.ArgumentParser) -> None:
    """The options that both commands share."""
    parser.add_argument(
        "--panel",
        type=Path,
        required=True,
        metavar="FILE",
        help="Parquet, or text such as CSV, long: series_id, ts (or t, a row number), y; times and values alone are one series",
    )
    parser.add_argument(
        "--freq",
        help="step of the stamps, such as 5min, h, D, W, MS (months), QS, YS (default: the commonest distance; an hour for row numbers)",
    )
    parser.add_argument(
        "--timezone",
        metavar="ZONE",
        help="by whose clock steps longer than an hour are even, for instance Europe/Berlin (default: UTC; days and months "
        "that begin at local midnight are read without it)",
    )
    parser.add_argument(
        "--season",
        metavar="STEPS",
        help="cycles in steps, such as 24,168; 0 for none (default: a day and a week; a year of weeks, months and quarters)",
    )
    parser.add_argument(
        "--horizon",
        help="how far ahead: 48h, 14d, 12months or a number of steps (default: 48h; 13 weeks of weeks, a year of months)",
    )


def add_models(parser: argparse.ArgumentParser, default: str) -> None:
    """Which models both commands ask; `default` says which without being told."""
    parser.add_argument(
        "--models", metavar="NAMES", help=f"joined by commas, such as prophet,prophet_map,blend (default: {default})"
    )
    parser.add_argument("--workers", type=int, help="worker processes for prophet (default: one for each processor)")


def models_of(options: argparse.Namespace, seasons: Sequence[int], default: Sequence[str]) -> list[str]:
    """The models that the options name, the licensed one first; raises SettingError for a name that is none."""
    named = [name.strip() for name in options.models.split(",")] if options.models else default
    return model_comparison.checked_models([name for name in named if name], seasons)


@contextmanager
def worker_pool(options: argparse.Namespace, models: Sequence[str]) -> Iterator[Executor | None]:
    """Worker processes where a model needs them."""
    if model_comparison.PROPHET not in models:
        yield None
        return
    with pool(options.workers) as executor:
        yield executor


def at_least_one(origins: int) -> int:
    """The origins of `--origins`; raises SettingError for none."""
    if origins < 1:
        raise SettingError(f"{origins} origins are none.", cause="--origins was mistyped", remedy="name at least one")
    return origins


def panel_options(options: argparse.Namespace) -> PanelOptions:
    """The panel that the options name; raises SettingError for what cannot be used."""
    panel = read(options.panel, options.freq, check_zone(options.timezone) if options.timezone else None)
    seasons = _seasons(options.season) if options.season else seasons_of(panel)
    refused = dict.fromkeys(_empty(panel), "no usable value: all are missing") | sparse(panel) | panel.refused
    sound_parts = []
    for part in parts(panel, seasons, refused):
        fit, reasons = usable_part(part)
        refused |= reasons
        sound_parts += [fit] if fit.names else []
    if not sound_parts:
        examples = "; ".join(f"{name}: {reason}" for name, reason in list(refused.items())[:NAMED_AT_MOST])
        raise SettingError(
            f"No series of {options.panel} is sound and has enough history ({examples}).",
            cause="the series are too short for their seasons, or broken",
            remedy="bring more history, name shorter seasons with --season, or mend what is named",
        )
    return PanelOptions(
        panel,
        steps(options.horizon, panel.grid),
        seasons,
        sound_parts,
        refused,
        [*panel.notes, *_early(panel, sound_parts)],
    )


def _early(panel: PanelFile, sound_parts: Sequence[PanelPart]) -> list[str]:
    """A note where series end before others do."""
    ends = {name: end for part in sound_parts for name, end in zip(part.names, part.ends, strict=True)}
    last = max(ends, key=lambda name: ends[name])
    early = {name: panel.grid.text(name, end) for name, end in ends.items() if end < ends[last]}
    if not early:
        return []
    verb = "ends" if len(early) == 1 else "end"
    where = f"before the panel does ({panel.grid.text(last, ends[last])}), and forecasts begin at each one's own end"
    return [f"{len(early)} series {verb} {where}: {listed_with_reasons(early)}"]


def listed_with_reasons(reasons: Mapping[str, object]) -> str:
    """The first of these series, each with what is to be said of it, and how many more there are."""
    return first_names([f"{name} ({what})" for name, what in reasons.items()])


def first_names(words: Sequence[str]) -> str:
    """The first of these, and how many more there are."""
    more = f" and {len(words) - NAMED_AT_MOST} more" if len(words) > NAMED_AT_MOST else ""
    return ", ".join(words[:NAMED_AT_MOST]) + more


def _empty(panel: PanelFile) -> list[str]:
    counts = panel.frame.groupby("series_id")["y"].count()
    return [str(name) for name in counts[counts == 0].index]


def usable_part(part: PanelPart) -> tuple[PanelPart, dict[str, str]]:
    """The part without the series that have too little history, and why these have."""
    reasons = dict(zip(part.names, refusals(part.history), strict=True))
    kept = [place for place, name in enumerate(part.names) if reasons[name] is None]
    names, ends = tuple(part.names[place] for place in kept), tuple(part.ends[place] for place in kept)
    fit = PanelPart(names, part.history.of(np.array(kept, dtype=int)), ends)
    return fit, {name: reason for name, reason in reasons.items() if reason is not None}


def _seasons(text: str) -> tuple[int, ...]:
    """Seasons of `--season`, shortest first; raises SettingError for what is none."""
    named = [part.strip() for part in text.split(",")]
    seasons = sorted({int(part) for part in named if part.isdigit()} - {0})
    if not all(part.isdigit() for part in named) or 1 in seasons:
        raise SettingError(
            f"--season {text} is no list of whole numbers from 2 up.",
            cause="it is mistyped",
            remedy="write cycles in steps, such as 24,168, or 0 for none",
        )
    return tuple(seasons)

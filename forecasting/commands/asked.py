"""What `backtest` and `forecast` are asked: their shared options, and the panel that these name."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.errors import SettingError
from forecasting.commands.panel_file import PanelFile, Part, parts, read, seasons_of, steps
from forecasting.evaluation.cold_start import refusals


@dataclass(frozen=True, slots=True)
class Asked:
    """A panel, the steps to forecast, its seasons in steps, its parts that can be forecast, and the reasons of those series that cannot."""

    panel: PanelFile
    horizon: int
    seasons: tuple[int, ...]
    parts: list[Part]
    refused: dict[str, str]


def add_panel(parser: argparse.ArgumentParser) -> None:
    """The options that both commands share."""
    parser.add_argument("--panel", type=Path, required=True, metavar="FILE", help="Parquet or CSV, long: series_id, ts (or t, a row number), y")
    parser.add_argument("--freq", help="step of the stamps, such as 5min, h, D (default: the commonest distance; an hour for row numbers)")
    parser.add_argument("--season", metavar="STEPS", help="cycles in steps, such as 24,168; 0 for none (default: a day and a week)")
    parser.add_argument("--horizon", default="48h", help="how far ahead: 48h, 14d or a number of steps (default: %(default)s)")


def asked(options: argparse.Namespace) -> Asked:
    """The panel that the options name; raises SettingError for what cannot be used."""
    panel = read(options.panel, options.freq)
    seasons = _seasons(options.season) if options.season else seasons_of(panel.step)
    found, refused = [], dict.fromkeys(_empty(panel), "no usable value: all are missing")
    for part in parts(panel, seasons):
        fit, reasons = usable(part)
        refused |= reasons
        found += [fit] if fit.names else []
    if not found:
        told = "; ".join(f"{name}: {reason}" for name, reason in list(refused.items())[:3])
        raise SettingError(f"No series of {options.panel} has enough history ({told}).", cause="the series are too short for their seasons",
                           remedy="bring more history, or name shorter seasons with --season")  # fmt: skip
    return Asked(panel, steps(options.horizon, panel.step), seasons, found, refused)


def _empty(panel: PanelFile) -> list[str]:
    held = panel.frame.groupby("series_id")["y"].count()
    return [str(name) for name in held[held == 0].index]


def usable(part: Part) -> tuple[Part, dict[str, str]]:
    """The part without the series that have too little history, and why these have."""
    reasons = dict(zip(part.names, refusals(part.history), strict=True))
    kept = [place for place, name in enumerate(part.names) if reasons[name] is None]
    fit = Part(tuple(part.names[place] for place in kept), part.history.of(np.array(kept, dtype=int)))
    return fit, {name: reason for name, reason in reasons.items() if reason is not None}


def _seasons(text: str) -> tuple[int, ...]:
    """Seasons of `--season`, shortest first; raises SettingError for what is none."""
    named = [part.strip() for part in text.split(",")]
    found = sorted({int(part) for part in named if part.isdigit()} - {0})
    if not all(part.isdigit() for part in named) or 1 in found:
        raise SettingError(f"--season {text} is no list of whole numbers from 2 up.", cause="it is mistyped",
                           remedy="write cycles in steps, such as 24,168, or 0 for none")  # fmt: skip
    return tuple(found)

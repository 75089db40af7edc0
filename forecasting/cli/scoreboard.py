"""Scores of models on series over origins, and the table and the JSON that are made of them."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from forecasting.cli.model_comparison import SCORES
from forecasting.evaluation import metrics
from forecasting.evaluation.licence import Licence
from forecasting.panel.history import Reals

LISTED = ("mase", "wape", "smape", "owa", "coverage_80", "coverage_95", "msis_95")
NAIVE2 = "naive2"
# Digits that a score is worth.
DIGITS = 6


@dataclass
class Scoreboard:
    """Scores by model, series and origin; seconds by model and series, an even share of what its panel took; the number
    of origins by series; the licences of each series at its last origin; reasons by series that is not scored.
    """

    found: dict[tuple[str, str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    seconds: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    origins: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    licences: dict[str, list[Licence]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, names: Sequence[str], scores: Mapping[str, Mapping[str, Reals]]) -> None:
        """The scores of one origin: a number for each of the named series by model and score."""
        for model, by_score in scores.items():
            for score, values in by_score.items():
                for name, value in zip(names, values, strict=True):
                    self.found[model, name, score].append(float(value))
        for name in names:
            self.origins[name] += 1

    def spend(self, names: Sequence[str], seconds: Mapping[str, float]) -> None:
        """What each model took at one origin, for these series together."""
        for model, took in seconds.items():
            for name in names:
                self.seconds[model, name] += took / len(names)

    @property
    def series(self) -> list[str]:
        """The series that were scored."""
        return sorted({name for _, name, _ in self.found})

    def row(self, model: str, series: Sequence[str]) -> dict[str, Any]:
        """The scores of a model over these series: the mean over series of each one's mean over origins."""
        shares = [self._each(name, score, series) for name in (model, NAIVE2) for score in ("smape", "mase")]
        values = {score: float(metrics.mean(self._each(model, score, series))) for score in SCORES} | {
            "owa": metrics.owa(*shares)
        }
        return {
            "model": model,
            **{score: _plain(values[score]) for score in LISTED},
            "seconds": round(sum(self.seconds[model, name] for name in series), 3),
        }

    def _each(self, model: str, score: str, series: Sequence[str]) -> Reals:
        return np.array([float(metrics.mean(np.array(self.found[model, name, score]))) for name in series])

    def report(self, models: Sequence[str], about: Mapping[str, Any]) -> dict[str, Any]:
        """All there is to say, as JSON has it; `origins` are those that were scored, by the series with the most of
        them.
        """
        each = {name: self._one(name, models) for name in self.series}
        return {
            **about,
            "origins": max(self.origins.values(), default=0),
            "models": [self.row(model, self.series) for model in models],
            "series": each,
            "refused": refusals(self.refused),
            "notes": self.notes,
        }

    def _one(self, name: str, models: Sequence[str]) -> dict[str, Any]:
        rows = [self.row(model, [name]) for model in models]
        return {"origins": self.origins[name], "models": rows, "licences": plain_licences(self.licences[name])}


def refusals(reasons: Mapping[str, str]) -> list[dict[str, str]]:
    """Series that are refused, as JSON has them."""
    return [{"series_id": name, "reason": reason} for name, reason in reasons.items()]


def plain_licences(found: Sequence[Licence]) -> list[dict[str, Any]]:
    """Licences as JSON has them."""
    return [_licence(one) for one in found]


def _licence(one: Licence) -> dict[str, Any]:
    return {**one._asdict(), "gain": _plain(one.gain), "noise": _plain(one.noise)}


def known(value: Any) -> Any:
    """A value as JSON knows it, which has no infinity."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _plain(value: float) -> float | None:
    """A score as JSON knows it."""
    return round(value, DIGITS) if np.isfinite(value) else None


def show(report: Mapping[str, Any]) -> None:
    """Print the leaderboard."""
    table = Table("model", *LISTED, "seconds", box=None)
    for row in report["models"]:
        table.add_row(
            row["model"], *("-" if row[score] is None else f"{row[score]:.3f}" for score in (*LISTED, "seconds"))
        )
    console = Console(width=140)
    console.print(table)
    asked = f" of {report['origins_asked']}" if report["origins"] < report["origins_asked"] else ""
    origins = f"{report['origins']}{asked} {'origin' if report['origins_asked'] == 1 else 'origins'}"
    console.print(
        f"{len(report['series'])} series, {origins}, {report['horizon']} steps of {report['step']} ahead",
        highlight=False,
    )
    say(console, report)


def say(console: Console, report: Mapping[str, Any]) -> None:
    """Print what is refused and noted, just as it stands: a series may be called [b] or be long."""
    for line in [*(f"refused {one['series_id']}: {one['reason']}" for one in report["refused"]), *report["notes"]]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def write(report: Mapping[str, Any], path: Path) -> None:
    """Write JSON to a file, or to standard output for `-`."""
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

"""What a licence says, in words: which model is drawn how far ahead, and the numbers that decided it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pandas as pd

from app import theme
from app.theme import StateMark
from app.ui.empty_states import plain
from data.schema import model_words

LICENSED = StateMark("licensed", "\u25cf", "circle")
BASELINE = StateMark("baseline", "\u25b2", "triangle-up")
UNTRIED = StateMark("not tested", "\u25cb", "circle-open")


def verdict(row: Any) -> StateMark:
    """Licensed, baseline drawn, or not tested; of a row of the table `licences`."""
    return UNTRIED if row.origins == 0 else LICENSED if row.licensed else BASELINE


def lower(row: Any) -> bool:
    """Whether a series' own error is below its baseline's: a licence leans on the gain of each origin and on the panel,
    and may be given where it is not.
    """
    return not (row.baseline_error > 0 and row.error >= row.baseline_error)


def sentence(label: str, rows: pd.DataFrame) -> str:
    """One sentence of Markdown for all horizons of a series: neighbours that were decided alike are told together.
    `rows`: as cached.licence gives them.
    """
    parts = [
        list(group)
        for _, group in groupby(rows.itertuples(), key=lambda row: (row.model, verdict(row), row.baseline, lower(row)))
    ]
    return f"{label}, drawn: " + "; ".join(_part(part) for part in parts) + "."


def _part(rows: list[Any]) -> str:
    first = rows[0]
    told = {LICENSED: _won, BASELINE: _lost, UNTRIED: _untried}[verdict(first)]
    return f"**{plain(model_words(first.model))}** {reach([row.horizon for row in rows])}{told(rows)}"


def reach(horizons: list[str]) -> str:
    """'up to 7 d', '8 to 90 d', from the names of neighbouring horizons, such as '0-24 h' and '1-7 d'."""
    first, last = horizons[0].partition("-"), horizons[-1].partition("-")
    return f"up to {last[2]}" if first[0] == "0" else f"{first[0]} to {last[2]}"


def _won(rows: list[Any]) -> str:
    baseline = f"{plain(model_words(rows[0].baseline))}, its best baseline"
    if not lower(rows[0]):
        return f", on its own no lower than {baseline}, but licensed by the gains of its backtests and its panel together, in {_tests(rows)}"
    return f", {_below(rows)} {baseline}, in {_tests(rows)}"


def _below(rows: list[Any]) -> str:
    shares = sorted(1 - row.error / row.baseline_error for row in rows if row.baseline_error > 0)
    low, high = (
        (theme.percent(share) for share in (shares[0], shares[-1])) if shares else (theme.NO_DATA, theme.NO_DATA)
    )
    return f"{low} below" if low == high else f"{low.removesuffix(' %')} to {high} below"


def _lost(rows: list[Any]) -> str:
    if anyhow(rows[0]):
        return (
            f", drawn so that all levels add up, though it did not beat {plain(model_words(rows[0].baseline))}, its best baseline, "
            f"by more than the noise in {_tests(rows)}"
        )
    return f", which the blend did not beat by more than the noise in {_tests(rows)}"


def anyhow(row: Any) -> bool:
    """Whether a row's model is drawn although it did not beat the best baseline, as a sum of sites is."""
    return not row.licensed and row.model != row.baseline


def _untried(_: list[Any]) -> str:
    return ", untested, because history is too short for a backtest that far"


def _tests(rows: list[Any]) -> str:
    most = max(int(row.origins) for row in rows)
    return f"{most} backtest" + ("s" if most != 1 else "")


def lines(rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """For each horizon a line of Markdown with verdict and numbers, and the run's own reason."""
    for row in rows.itertuples():
        found = verdict(row)
        yield (
            f"{found.glyph} **{plain(row.horizon)}: {plain(model_words(row.model))}**, {_numbers(row)}",
            str(row.reason),
        )


def _numbers(row: Any) -> str:
    if row.origins == 0:
        return "not tested: history is too short for a backtest that far"
    # A run of release 0.1 has no margin under this name; the next refresh gives one.
    noise = "" if theme.missing(row.margin) else f"noise {theme.significant(row.margin)}, "
    needed = f"{noise}{_tests([row])}"
    if row.licensed:
        how = _below([row]) if lower(row) else "on its own no lower than"
        by = "licensed" if lower(row) else "licensed with its panel"
        return f"{by}: MASE {theme.significant(row.error)}, {how} {plain(model_words(row.baseline))} ({theme.significant(row.baseline_error)}; {plain(needed)})"
    if anyhow(row):
        other = f"{plain(model_words(row.baseline))}, the best baseline, {theme.significant(row.baseline_error)}"
        return f"drawn so that all levels add up: MASE {theme.significant(row.error)}, {other}: not better by more than the noise ({plain(needed)})"
    return f"the best baseline, MASE {theme.significant(row.baseline_error)}: the blend did not beat it by more than the noise ({plain(needed)})"

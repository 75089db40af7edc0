"""How far a forecast may be trusted, in words: how far off it typically is and whether its bands hold, as backtests have
measured it; then which model is drawn how far ahead, and the numbers that decided it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pandas as pd

from app import theme
from app.theme import StateMark
from app.ui.empty_states import plain
from data.schema import Series, model_words

LICENSED = StateMark("licensed", "\u25cf", "circle")
BASELINE = StateMark("baseline", "\u25b2", "triangle-up")
UNTRIED = StateMark("not tested", "\u25cb", "circle-open")

# How far ahead each horizon of `cached.accuracy` reaches, as people say it.
AHEAD = {
    "0-24 h": "a day ahead",
    "1-7 d": "within a week",
    "8-28 d": "at 4 weeks",
    "29-90 d": "at 3 months",
}
# A 95 % band with fewer of the hours inside is called too narrow. With some ten backtests chance alone moves the share by
# a few points.
HOLDS = 0.90
# A smaller difference from repeating last week is none that some ten backtests could tell from chance.
EVEN = 0.02
# Models of the table `licences` that are no model of the leaderboard.
MIXTURE, SUM_OF_SITES = "mixture", "sum of sites"
UNTESTED = "not tested: its history is too short for a backtest"


def accuracy_of(accuracy: pd.DataFrame, series: Series) -> pd.DataFrame:
    """The rows of one series of `cached.accuracy`, by horizon."""
    mine = (accuracy[["level", "key", "metric"]] == list(series)).all(axis=1)
    return accuracy[mine].set_index("horizon", drop=False)


def accuracy_sentence(label: str, rows: pd.DataFrame) -> str:
    """'Egress, next 7 days: typically off by 2.7 %; 98 of 100 hours inside the 95 % band; 18 % better than repeating
    last week. Further ahead: 3.8 % at 4 weeks.' Plain text; `rows` as `accuracy_of` gives them.
    """
    near = next((rows.loc[name] for name in ("0-7 d", "0-24 h") if name in rows.index), None)
    if near is None:
        return f"{label}: {UNTESTED}."
    over = "next 7 days" if near["horizon"] == "0-7 d" else "next 24 hours"
    parts = [
        f"typically off by {theme.percent(near['wape'])}",
        f"{_of_100(near['inside_95'])} hours inside the 95 % band",
        *([] if theme.missing(near["gain"]) else [_against_last_week(near["gain"])]),
    ]
    further = [row for name, row in rows.iterrows() if name in ("8-28 d", "29-90 d")]
    said = [f"{theme.percent(row['wape'])} {AHEAD[row['horizon']]}" for row in further]
    less_sure = bool(further) and further[-1]["wape"] > near["wape"]
    tail = (
        f" Further ahead{', less sure' if less_sure else ''}: off by {', '.join(said)}."
        if said
        else " Further ahead it is not tested: its history is too short."
    )
    return f"{label}, {over}: {'; '.join(parts)}.{tail}"


def accuracy_chip(rows: pd.DataFrame) -> str:
    """'off by 2.3 % a day ahead, 5.2 % at 3 months; bands hold': the nearest and the furthest horizon that were tested.
    Plain text.
    """
    tested = rows[rows["horizon"] != "0-7 d"]
    if tested.empty:
        return UNTESTED
    ends = [tested.iloc[0], *([tested.iloc[-1]] if len(tested) > 1 else [])]
    off = ", ".join(f"{theme.percent(row['wape'])} {AHEAD[row['horizon']]}" for row in ends)
    worst = tested.loc[tested["inside_95"].idxmin()]
    bands = (
        "bands hold"
        if worst["inside_95"] >= HOLDS
        else f"band too narrow {AHEAD[worst['horizon']]}: {_of_100(worst['inside_95'])} hours in the 95 % band"
    )
    return f"off by {off}; {bands}"


def accuracy_details(rows: pd.DataFrame) -> str:
    """Markdown for a hover: each horizon with its numbers and what they are."""
    told = [
        f"**{plain(row.horizon)}**: WAPE {theme.percent(row.wape)}, {theme.percent(row.inside_95)} of hours in the 95 % interval"
        + ("" if theme.missing(row.gain) else f", {_against_last_week(row.gain)}")
        + f" ({int(row.origins)} backtests)"
        for row in rows.itertuples()
    ]
    return "  \n".join(
        ["Measured in backtests: the mean absolute error as a share of what was measured (WAPE).", *told]
    )


def _of_100(share: float) -> str:
    """'98 of 100'; what is not all does not read 100."""
    return "all" if share == 1 else f"{min(round(100 * share), 99)} of 100"


def _against_last_week(gain: float) -> str:
    if abs(gain) < EVEN:
        return "about as good as repeating last week"
    return f"{theme.percent(abs(gain))} {'better' if gain > 0 else 'worse'} than repeating last week"


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
    if is_mixture(rows[0]):
        return f", {_shares(rows)}, which the blend did not beat by more than the noise in {_tests(rows)}"
    return f", which the blend did not beat by more than the noise in {_tests(rows)}"


def anyhow(row: Any) -> bool:
    """Whether a row's model is drawn although it did not beat the best baseline, as a sum of sites is."""
    return not row.licensed and row.model == SUM_OF_SITES


def is_mixture(row: Any) -> bool:
    """Whether a row draws the blend and its baseline mixed, as nothing proves the blend alone."""
    return row.model == MIXTURE and not theme.missing(row.share)


def _shares(rows: list[Any]) -> str:
    """'55 to 70 % the blend and the rest same hour last week'."""
    low, high = (theme.percent(share) for share in (min(row.share for row in rows), max(row.share for row in rows)))
    share = low if low == high else f"{low.removesuffix(' %')} to {high}"
    return f"{share} the blend and the rest {plain(model_words(rows[0].baseline))}"


def _untried(rows: list[Any]) -> str:
    if is_mixture(rows[0]):
        return f", {_shares(rows)}, untested, because history is too short for a backtest that far"
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
    if is_mixture(row):
        errors = f"MASE {theme.significant(row.error)}, the best baseline {theme.significant(row.baseline_error)}"
        return f"{_shares([row])}: {errors}, which the blend did not beat by more than the noise ({plain(needed)})"
    return f"the best baseline, MASE {theme.significant(row.baseline_error)}: the blend did not beat it by more than the noise ({plain(needed)})"

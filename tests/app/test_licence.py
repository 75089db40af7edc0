"""What a licence says in words."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from app.ui.licence import (
    BASELINE,
    LICENSED,
    UNTRIED,
    accuracy_chip,
    accuracy_of,
    accuracy_sentence,
    lines,
    reach,
    sentence,
    verdict,
)
from data.schema import Series

NETWORK = Series("global", "all", "egress_gbps")


def row(horizon: str, model: str = "blend", error: float = 0.8, **other: Any) -> dict[str, Any]:
    usual = {
        "share": 0.95,
        "baseline": "seasonal naive 168 h",
        "licensed": True,
        "baseline_error": 1.0,
        "margin": 0.05,
        "origins": 8,
        "reason": "because",
    }
    return {"horizon": horizon, "model": model, "error": error, **usual, **other}


def lost(horizon: str, share: float = 0.6) -> dict[str, Any]:
    return row(horizon, "mixture", 0.98, licensed=False, share=share)


def untried(horizon: str) -> dict[str, Any]:
    return row(horizon, "prophet, trend", 1.0, licensed=False, origins=0)


def said(*rows: dict[str, Any]) -> str:
    return sentence("Egress", pd.DataFrame(rows)).replace("\\", "")


def test_one_sentence_tells_neighbours_that_were_decided_alike_together() -> None:
    text = said(row("0-24 h", error=0.7), row("1-7 d", error=0.8), lost("8-28 d"), untried("29-90 d"))
    assert text == (
        "Egress, drawn: **weighted blend of models** up to 7 d, 20 to 30 % below seasonal naive 168 h, its best baseline, in 8 backtests; "
        "**blend and baseline, mixed** 8 to 28 d, 60 % the blend and the rest seasonal naive 168 h, which the blend did not beat by more than "
        "the noise in 8 backtests; "
        "**prophet, trend** 29 to 90 d, untested, because history is too short for a backtest that far."
    )


def test_equal_shares_are_said_once_and_one_backtest_is_one() -> None:
    assert "20 % below seasonal naive 168 h, its best baseline, in 1 backtest" in said(
        row("0-24 h", origins=1), row("1-7 d", origins=1)
    )


def test_a_mixture_says_its_shares_and_a_run_of_an_earlier_release_drew_the_baseline_alone() -> None:
    assert "up to 7 d, 40 to 70 % the blend and the rest seasonal naive 168 h" in said(
        lost("0-24 h", 0.4), lost("1-7 d", 0.7)
    )
    assert "40 % the blend and the rest seasonal naive 168 h, untested" in said(lost("0-24 h", 0.4) | {"origins": 0})
    earlier = row("0-24 h", "seasonal naive 168 h", 1.0, licensed=False, share=None)
    assert said(earlier) == (
        "Egress, drawn: **seasonal naive 168 h** up to 24 h, which the blend did not beat by more than the noise in 8 backtests."
    )


def test_a_baseline_without_error_divides_nothing() -> None:
    assert "no data below" in said(row("0-24 h", error=0.0, baseline_error=0.0))


def test_a_licence_without_a_lower_error_of_its_own_does_not_read_as_below() -> None:
    text = said(row("0-24 h", error=0.9), row("1-7 d", error=1.03), row("8-28 d", error=1.0))
    assert text == (
        "Egress, drawn: **weighted blend of models** up to 24 h, 10 % below seasonal naive 168 h, its best baseline, in 8 backtests; "
        "**weighted blend of models** 1 to 28 d, on its own no lower than seasonal naive 168 h, its best baseline, "
        "but licensed by the gains of its backtests and its panel together, in 8 backtests."
    )
    ((line, _),) = lines(pd.DataFrame([row("1-7 d", error=1.03)]))
    assert "licensed with its panel: MASE 1.03, on its own no lower than seasonal naive 168 h (1.00;" in line.replace(
        "\\", ""
    )


@pytest.mark.parametrize(
    ("horizons", "words"),
    [
        (["0-24 h"], "up to 24 h"),
        (["0-24 h", "1-7 d"], "up to 7 d"),
        (["8-28 d"], "8 to 28 d"),
        (["8-28 d", "29-90 d"], "8 to 90 d"),
    ],
)
def test_reach(horizons: list[str], words: str) -> None:
    assert reach(horizons) == words


def test_each_horizon_has_a_verdict_with_shape_and_numbers() -> None:
    rows = pd.DataFrame([row("0-24 h"), lost("1-7 d"), untried("29-90 d")])
    assert [verdict(one) for one in rows.itertuples()] == [LICENSED, BASELINE, UNTRIED]
    told = [(line.replace("\\", ""), reason) for line, reason in lines(rows)]
    assert told[0] == (
        f"{LICENSED.glyph} **0-24 h: weighted blend of models**, licensed: MASE 0.800, 20 % below seasonal naive 168 h (1.00; noise 0.0500, 8 backtests)",
        "because",
    )
    assert told[1][0] == (
        f"{BASELINE.glyph} **1-7 d: blend and baseline, mixed**, 60 % the blend and the rest seasonal naive 168 h: MASE 0.980, "
        "the best baseline 1.00, which the blend did not beat by more than the noise (noise 0.0500, 8 backtests)"
    )
    assert "not tested" in told[2][0]
    assert len({state.glyph for state in (LICENSED, BASELINE, UNTRIED)}) == 3


def test_a_hostile_model_name_stays_text() -> None:
    assert "](http" not in sentence("Egress", pd.DataFrame([row("0-24 h", "[x](http://evil)")]))


def test_a_sum_that_beat_nothing_is_drawn_so_that_levels_add_up_and_is_not_called_the_baseline() -> None:
    one = row("0-24 h", "sum of sites", 1.1, licensed=False)
    assert said(one) == (
        "Egress, drawn: **sum of its sites** up to 24 h, drawn so that all levels add up, though it did not beat seasonal naive 168 h, its best baseline, "
        "by more than the noise in 8 backtests."
    )
    told = next(lines(pd.DataFrame([one])))[0].replace("\\", "")
    assert (
        "drawn so that all levels add up: MASE 1.10, seasonal naive 168 h, the best baseline, 1.00: not better by more than the noise"
        in told
    )


def accuracy(**horizons: tuple[float, float, float]) -> pd.DataFrame:
    """wape, share inside the 95 % interval and gain on last week by horizon ('week', 'day', 'rest', 'month',
    'quarter') of one series.
    """
    names = {"week": "0-7 d", "day": "0-24 h", "rest": "1-7 d", "month": "8-28 d", "quarter": "29-90 d"}
    columns = [*NETWORK._fields, "horizon", "wape", "inside_95", "gain", "origins"]
    return accuracy_of(
        pd.DataFrame([[*NETWORK, names[name], *numbers, 9] for name, numbers in horizons.items()], columns=columns),
        NETWORK,
    )


def test_accuracy_reads_as_a_sentence_and_as_a_chip() -> None:
    rows = accuracy(week=(0.02, 0.984, 0.14), day=(0.018, 0.99, 0.2), rest=(0.02, 0.98, 0.1), quarter=(0.06, 0.93, 0.1))
    assert accuracy_sentence("Egress", rows) == (
        "Egress, next 7 days: typically off by 2.0 %; 98 of 100 hours inside the 95 % band; 14 % better than repeating last week. "
        "Further ahead, less sure: off by 6.0 % at 3 months."
    )
    assert accuracy_chip(rows) == "off by 1.8 % a day ahead, 6.0 % at 3 months; bands hold"


def test_a_band_that_misses_too_much_an_equal_error_and_a_short_history_are_said() -> None:
    rows = accuracy(day=(0.05, 0.8, -0.01))
    assert accuracy_sentence("Egress", rows) == (
        "Egress, next 24 hours: typically off by 5.0 %; 80 of 100 hours inside the 95 % band; about as good as repeating last week. "
        "Further ahead it is not tested: its history is too short."
    )
    assert accuracy_chip(rows).endswith("; band too narrow a day ahead: 80 of 100 hours in the 95 % band")
    assert accuracy_chip(accuracy()) == "not tested: its history is too short for a backtest"
    assert accuracy_sentence("Egress", accuracy()).startswith("Egress: not tested")

"""Completeness by site and day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from app.views.data.charts import ROWS, WORDS, completeness_chart, step
from tests.app.charts.traffic import words

DAYS = pd.date_range("2026-11-01", periods=5, tz="UTC")


def days(**sites: float | list[float]) -> pd.DataFrame:
    rows = [
        (name, day, share)
        for name, shares in sites.items()
        for day, share in zip(DAYS, np.broadcast_to(shares, len(DAYS)), strict=True)
    ]
    return pd.DataFrame(rows, columns=["name", "ts", "completeness"])


def test_the_least_complete_site_is_on_top() -> None:
    figure = completeness_chart(days(whole=1.0, holed=0.4, nearly=0.99), scheme="light")
    assert list(figure.layout.yaxis.ticktext) == ["holed", "nearly", "whole"]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    assert figure.data[0].z.tolist() == [[0.0] * 5, [3.0] * 5, [4.0] * 5]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 0), (0.499, 0), (0.5, 1), (0.8, 2), (0.95, 3), (0.9949, 3), (0.995, 4), (1.0, 4)]
)
def test_steps(share: float, expected: int) -> None:
    assert step(np.array([share]))[0] == expected


def test_where_nothing_was_expected_nothing_is_drawn() -> None:
    figure = completeness_chart(days(new=[np.nan, np.nan, 1.0, 1.0, 0.0], old=1.0), scheme="light")
    new = figure.data[0].z[0]
    assert np.isnan(new[:2]).all()
    assert new[2:].tolist() == [4.0, 4.0, 0.0]  # a day without one sample is a hole, not an absence
    assert figure.data[0].hoverongaps is False


def test_a_day_is_drawn_over_its_own_place() -> None:
    figure = completeness_chart(days(a=1.0), scheme="light")
    assert list(figure.data[0].x) == [f"2026-11-0{day}T12" for day in range(1, 6)]


def test_of_many_sites_the_worst_are_shown_and_the_rest_counted() -> None:
    figure = completeness_chart(days(**{f"site-{n}": n / 100 for n in range(80)}), scheme="dark")
    assert len(figure.data[0].z) == ROWS
    assert figure.layout.yaxis.ticktext[0] == "site-0"
    assert any(f"the {ROWS} least complete of 80 sites" in text for text in words(figure))


def test_the_legend_writes_every_step() -> None:
    legend = words(completeness_chart(days(a=1.0), scheme="light"))[-1]
    assert all(text in legend for text in (*WORDS, "nothing expected"))


def test_names_are_text_and_an_empty_lake_says_so() -> None:
    assert completeness_chart(days(**{"<b>x</b>": 1.0}), scheme="light").layout.yaxis.ticktext == (
        "&lt;b&gt;x&lt;/b&gt;",
    )
    assert "no telemetry yet" in words(completeness_chart(days(a=1.0)[:0], scheme="light"))

"""The verdict on the network, and the table of all sites: numbers that sort, intervals in words, gaps that stay gaps."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as any_

from app.cached.planning import NetworkSummary
from app.views.overview.charts import HOURS_A_POINT, card_lines, peak, site_table, thinned
from app.views.overview.page import verdict

NOW = pd.Timestamp("2026-11-20T09:25Z")
DAY = pd.Timedelta(days=1)


def site(site_id: str, **changes: Any) -> dict[str, Any]:
    usual = {
        "site_id": site_id,
        "name": site_id.upper(),
        "region_id": "eu",
        "region_name": "Europe",
        "partner": None,
        "state": "ok",
        "peak_24h_gbps": 12.5,
        "peak_24h_utilisation": 0.25,
        "short_gbps": 0.0,
        "order_by": pd.NaT,
        "week": [1.0] * 168,
        "peak_28d_low": 20.0,
        "peak_28d_mid": 25.0,
        "peak_28d_high": 30.0,
        "egress_capacity_gbps": 50.0,
        "runout": "beyond",
        "run_out_p10": pd.NaT,
        "run_out_p50": pd.NaT,
        "run_out_p90": pd.NaT,
        "completeness_24h": 0.995,
    }
    return usual | changes


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows in the types of sites_now."""
    found = pd.DataFrame(rows)
    return found.assign(
        **{
            name: pd.to_datetime(found[name], utc=True)
            for name in ("run_out_p10", "run_out_p50", "run_out_p90", "order_by")
        }
    )


def summary(**changes: Any) -> NetworkSummary:
    """48 sites of which three are over."""
    usual = NetworkSummary(
        sites=48,
        states={"act": 4, "watch": 10, "ok": 34},
        over=3,
        late=5,
        due=2,
        undeclared=0,
        unplanned=0,
        refusal=None,
        is_planned=True,
        next_site="Seoul",
        next_date=pd.Timestamp("2027-01-08T00:00Z"),
        fullest_site="Frankfurt",
        fullest_share=0.99,
        poor=(),
    )
    return usual._replace(**changes)


RUN_OUT_UNKNOWN = {"next_site": None, "next_date": None}


@pytest.mark.parametrize(
    ("changes", "of", "says"),
    [
        (
            {},
            48,
            (
                "48 sites: 34 ok, 10 watch, 4 act. 3 are over their limit at the weekly peak; next: Seoul, likely by 8 Jan 2027. "
                "Viewers fine."
            ),
        ),
        (
            {"sites": 6, "states": {"ok": 6}, "over": 0, "next_date": NOW + 20 * DAY, "poor": ("Lima",)},
            48,
            (
                "6 of 48 sites: all ok. None is over its limit at the weekly peak; next: Seoul, likely by 10 Dec. "
                "Viewers fare badly at Lima."
            ),
        ),
        (
            {"sites": 1, "states": {"act": 1}, "over": 1, **RUN_OUT_UNKNOWN, "poor": ("A", "B", "C", "D")},
            1,
            "1 site: 1 act. 1 is over its limit at the weekly peak. Viewers fare badly at A, B and 2 more.",
        ),
        (
            {"states": {"ok": 47, "act": 1}, "over": 1, "is_planned": False, **RUN_OUT_UNKNOWN, "poor": None},
            48,
            (
                "48 sites: 47 ok, 1 act. 1 is over its limit at the weekly peak. No forecast to plan from has been published, "
                "so when sites run out is not known. How viewers fare is not measured."
            ),
        ),
        (
            {
                "sites": 12,
                "states": {"unknown": 12},
                "over": 0,
                "unplanned": 12,
                "refusal": "too short",
                **RUN_OUT_UNKNOWN,
            },
            12,
            "12 sites: all unknown. No site can be planned yet (too short). Viewers fine.",
        ),
        (
            {"sites": 17, "states": {"unknown": 17}, "over": 0, "undeclared": 17, **RUN_OUT_UNKNOWN, "poor": None},
            17,
            "17 sites: all unknown. No capacity is declared, so when they run out is not known. How viewers fare is not measured.",
        ),
        (
            {"states": {"ok": 47, "unknown": 1}, "over": 0, "undeclared": 1, **RUN_OUT_UNKNOWN},
            48,
            "48 sites: 47 ok, 1 unknown. None is over its limit at the weekly peak. 1 declares no capacity. Viewers fine.",
        ),
    ],
)
def test_the_verdict_is_one_line(changes: dict[str, Any], of: int, says: str) -> None:
    assert verdict(summary(**changes), of, NOW) == says


def test_a_row_says_what_the_site_is_like() -> None:
    within = {
        "runout": "within",
        "run_out_p10": NOW + 13 * DAY,
        "run_out_p50": NOW + 20 * DAY,
        "run_out_p90": NOW + 29 * DAY,
    }
    row = site_table(frame(site("fra-01", state="watch", order_by=NOW.floor("D"), short_gbps=3.0, **within)), NOW).iloc[
        0
    ]
    assert row["Health"] == "\u25b2 watch"
    assert (row["Peak 24 h"], row["of capacity"], row["Complete"]) == (12.5, 25.0, 99.5)
    assert (row["Peak in 28 days"], row["Short"]) == ("20.0 to 30.0 Gbps", 3.0)
    assert (row["Run-out"], row["Order by"]) == ("3 to 19 Dec", pd.Timestamp("2026-11-20"))
    assert card_lines(row) == [
        "**Order by 20 Nov 2026** \u00b7 3.00 Gbps short \u00b7 Run-out: 3 to 19 Dec",
        "Peak 24 h: 12.5 Gbps, 25 % of capacity",
        "Europe",
    ]


def test_what_is_not_known_is_null_or_a_reason() -> None:
    nothing = {
        "peak_24h_gbps": None,
        "peak_24h_utilisation": None,
        "short_gbps": None,
        "week": None,
        "peak_28d_low": None,
        "peak_28d_mid": None,
        "peak_28d_high": None,
    }
    more = {
        "egress_capacity_gbps": 0.0,
        "runout": "no forecast",
        "completeness_24h": None,
        "region_name": None,
        "state": "unknown",
    }
    row = site_table(frame(site("x", **nothing, **more), site("y")), NOW).iloc[0]
    assert row[["Peak 24 h", "of capacity", "Last 7 days", "Short", "Order by", "Complete"]].isna().all()
    assert (row["Peak in 28 days"], row["Run-out"], row["Region"], row["Health"]) == (
        "no forecast",
        "no forecast",
        "eu",
        "\u25cb unknown",
    )


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (812.4, 930.0, "812 to 930 Gbps"),
        (812.4, 1240.0, "812 Gbps to 1.24 Tbps"),
        (None, 3.0, "no forecast"),
        (0.4, 2.0, "400 Mbps to 2.00 Gbps"),
    ],
)
def test_a_peak_is_an_interval(low: float, high: float, words: str) -> None:
    assert peak(low, high) == words


@given(any_.lists(any_.none() | any_.floats(0, 1e5, width=32), min_size=1, max_size=168))
def test_a_thinned_week_keeps_its_highest_hour_and_bridges_its_gaps(week: list[float | None]) -> None:
    found = thinned(week)
    known = [value for value in week if value is not None]
    if not known:
        assert found is None
        return
    assert found is not None
    assert len(found) == math.ceil(len(week) / HOURS_A_POINT)
    assert max(found) == pytest.approx(max(known), rel=1e-3)
    for at, value in enumerate(found):
        hours = [hour for hour in week[at * HOURS_A_POINT : (at + 1) * HOURS_A_POINT] if hour is not None]
        assert (
            value == pytest.approx(max(hours), rel=1e-3) if hours else min(known) * 0.999 <= value <= max(known) * 1.001
        )


def test_no_week_at_all_is_null() -> None:
    assert thinned(None) is None
    assert thinned([]) is None

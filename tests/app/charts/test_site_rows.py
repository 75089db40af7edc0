"""The table of all sites: worst first, numbers that sort, intervals in words, gaps that stay gaps."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as any_

from app.views.overview.charts import HOURS_A_POINT, count_sites, days_left, peak, site_table, thinned

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
        "egress_gbps": 12.5,
        "utilisation": 0.25,
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
        **{name: pd.to_datetime(found[name], utc=True) for name in ("run_out_p10", "run_out_p50", "run_out_p90")}
    )


def test_counts_are_of_what_is_over_now_or_soon_and_what_is_next() -> None:
    sites = frame(
        site("over", runout="over", run_out_p50=NOW - DAY, utilisation=0.9),
        site(
            "next", runout="within", run_out_p10=NOW + 4 * DAY, run_out_p50=NOW + 29 * DAY, run_out_p90=NOW + 60 * DAY
        ),
        site("later", runout="within", run_out_p10=NOW + DAY, run_out_p50=NOW + 90 * DAY),
        site("open", runout="within", run_out_p10=NOW + DAY),
        site("well"),
    )
    found = count_sites(sites, NOW)
    assert (found.sites, found.over_now, found.over_soon) == (5, 1, 2)
    assert (found.busiest_site_id, found.busiest_utilisation) == ("over", 0.9)
    assert (found.next_site_id, found.next_p10, found.next_p90) == ("next", NOW + 4 * DAY, NOW + 60 * DAY)
    nothing = count_sites(frame(site("a", utilisation=None)), NOW)
    assert (nothing.busiest_site_id, nothing.next_site_id) == (None, None)


def test_a_row_says_what_the_site_is_like() -> None:
    within = {
        "runout": "within",
        "run_out_p10": NOW + 13 * DAY,
        "run_out_p50": NOW + 20 * DAY,
        "run_out_p90": NOW + 29 * DAY,
    }
    row = site_table(frame(site("fra-01", state="watch", **within)), NOW).iloc[0]
    assert row["Health"] == "\u25b2 watch"
    assert (row["Egress"], row["Utilisation"], row["Complete"]) == (12.5, 25.0, 99.5)
    assert (row["Peak in 28 days"], row["Peak of capacity"]) == ("20.0 to 30.0 Gbps", 50.0)
    assert (row["Run-out"], row["Days left"]) == ("3 to 19 Dec", 13.0)


def test_what_is_not_known_is_null_or_a_reason() -> None:
    nothing = {
        "egress_gbps": None,
        "utilisation": None,
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
    assert row[["Egress", "Utilisation", "Last 7 days", "Peak of capacity", "Days left", "Complete"]].isna().all()
    assert (row["Peak in 28 days"], row["Run-out"], row["Region"], row["Health"]) == (
        "no forecast",
        "no forecast",
        "eu",
        "\u25cb no data",
    )


def test_days_left_are_never_negative_and_zero_where_it_is_over() -> None:
    sites = frame(
        site("a", runout="over"),
        site("b", runout="within", run_out_p10=NOW - DAY),
        site("c"),
        site("d", runout="no capacity"),
    )
    assert days_left(sites, NOW).tolist()[:2] == [0.0, 0.0]
    assert days_left(sites, NOW).isna().tolist() == [False, False, True, True]


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

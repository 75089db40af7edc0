"""Which events touch a series, how much, and what a model sees of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schema import Series
from forecasting.panel.events import event_regressors, scope_shares
from tests.forecasting.networks import NOW, REGIONS, event, no_events, stamps_of

# A busy machine is no fault of the code.
unhurried = settings(deadline=None, max_examples=60)

HOUR = pd.Timedelta(hours=1)
STAMPS = stamps_of(4)
EGRESS = "egress_gbps"
EU, ALL = Series("region", "eu", EGRESS), Series("global", "all", EGRESS)
weights = st.fixed_dictionaries({(site, EGRESS): st.floats(0.0, 1e6) for site in REGIONS})


@unhurried
@given(weights)
def test_the_shares_of_the_sites_of_a_region_add_up_to_one(held: dict[tuple[str, str], float]) -> None:
    found = scope_shares(EU, REGIONS, held)
    total = sum(found.get(site, 0.0) for site in ("fra-01", "ams-01"))
    assert total == pytest.approx(1.0) if held["fra-01", EGRESS] + held["ams-01", EGRESS] > 0 else total == 0.0
    assert "nrt-01" not in found


@unhurried
@given(weights)
def test_every_share_is_above_zero_and_at_most_one(held: dict[tuple[str, str], float]) -> None:
    for series in (EU, ALL, Series("site", "fra-01", EGRESS)):
        assert all(0.0 < share <= 1.0 + 1e-12 for share in scope_shares(series, REGIONS, held).values())


def test_a_site_is_touched_by_itself_its_region_and_the_network() -> None:
    assert scope_shares(Series("site", "fra-01", EGRESS), REGIONS, {}) == {"fra-01": 1.0, "eu": 1.0, "global": 1.0}


def test_a_site_without_a_region_is_still_touched_by_what_is_global() -> None:
    assert scope_shares(Series("site", "new-01", EGRESS), REGIONS, {}) == {"new-01": 1.0, "global": 1.0}


def seen(*events: dict[str, object], share: float = 1.0) -> pd.DataFrame:
    return event_regressors(no_events(*events).assign(share=share), STAMPS, HOUR)


def at(number: int, minutes: int = 0) -> str:
    return f"{STAMPS[number] + pd.Timedelta(minutes=minutes)}".removesuffix("+00:00")


def test_an_event_covers_whole_hours_and_parts_of_hours() -> None:
    column = seen(event(at(10, 30), 2.0))["event_tournament"]
    assert column.iloc[9:14].tolist() == [0.0, 0.5, 1.0, 0.5, 0.0]


def test_an_event_within_an_hour_covers_its_part() -> None:
    assert seen(event(at(10, 15), 0.25))["event_tournament"].iloc[10] == 0.25


def test_a_part_of_a_series_feels_a_part_of_an_event_and_two_at_once_add_up() -> None:
    column = seen(event(at(10), 1.0), event(at(10), 1.0), share=0.3)["event_tournament"]
    assert column.iloc[10] == pytest.approx(0.6)


def test_kinds_have_columns_of_their_own_and_masks_and_notes_have_none() -> None:
    found = seen(
        event(at(1), 1.0), event(at(2), 1.0, kind="release"), event(at(3), 1.0, kind="outage", treatment="mask")
    )
    assert list(found) == ["event_release", "event_tournament"]


@unhurried
@given(st.integers(-200, 6000), st.integers(1, 3000))
def test_no_minute_of_an_event_is_lost_or_counted_twice(begin: int, minutes: int) -> None:
    start = STAMPS[0] + pd.Timedelta(minutes=begin)
    end = start + pd.Timedelta(minutes=minutes)
    within = max((min(end, NOW) - max(start, STAMPS[0])) / HOUR, 0.0)
    found = seen(event(f"{start}".removesuffix("+00:00"), minutes / 60))["event_tournament"]
    assert found.sum() == pytest.approx(within)
    assert np.isin(found.round(9), [0.0, 1.0]).sum() >= len(found) - 2

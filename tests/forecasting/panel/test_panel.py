"""What a panel holds, and what it hides from a model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.schema import Series
from forecasting.panel.completeness import refusal_reason
from forecasting.panel.panel import OUTAGE_SHARE, Sources, build, without_outages
from tests.forecasting.networks import NOW, REGIONS, daily, event, no_events, panel_of, rows, stamps_of

# A busy machine is no fault of the code.
unhurried = settings(deadline=None, max_examples=60)

FRA = Series("site", "fra-01", "egress_gbps")
HOURS = stamps_of(20)


def test_every_hour_has_a_row_in_utc_and_missing_ones_are_nan() -> None:
    holed = rows("fra-01", HOURS, daily(HOURS)).drop(index=range(100, 140))
    panel = panel_of(holed)
    axis = pd.DatetimeIndex(panel.hourly.index)
    assert str(axis.tz) == "UTC"
    assert (axis == HOURS).all()
    assert panel.hourly[FRA].isna().to_numpy().nonzero()[0].tolist() == list(range(100, 140))


def test_an_hour_that_is_not_over_is_not_learned_from() -> None:
    late = NOW + pd.Timedelta(minutes=20)
    panel = panel_of(
        rows("fra-01", stamps_of(9, now=late.floor("h") + pd.Timedelta(hours=1)), np.full(9 * 24, 5.0)), now=late
    )
    assert panel.start == NOW
    assert panel.hourly.index[-1] == NOW - pd.Timedelta(hours=1)


def test_of_two_rows_for_one_hour_the_later_counts() -> None:
    panel = panel_of(rows("fra-01", HOURS, daily(HOURS)), rows("fra-01", HOURS[5:6], np.array([77.0])))
    assert panel.hourly[FRA].iloc[5] == 77.0


@pytest.mark.parametrize("bad", [-1.0, np.inf, -np.inf, np.nan])
def test_what_is_no_measurement_is_missing(bad: float) -> None:
    values = daily(HOURS)
    values[7] = bad
    assert np.isnan(panel_of(rows("fra-01", HOURS, values)).hourly[FRA].iloc[7])


def test_an_hour_with_less_than_half_of_its_samples_is_missing() -> None:
    scarce = rows("fra-01", HOURS, daily(HOURS))
    scarce.loc[[3, 4], "completeness"] = [0.49, 0.5]
    missing = panel_of(scarce).hourly[FRA].isna()
    assert missing.iloc[3]
    assert not missing.iloc[4]


def test_a_series_without_any_value_is_not_in_the_panel() -> None:
    panel = panel_of(rows("fra-01", HOURS, daily(HOURS)), rows("ams-01", HOURS, np.full(len(HOURS), np.nan)))
    assert panel.series == [FRA]


def test_an_outage_is_masked_and_the_night_is_not() -> None:
    values = daily(HOURS)
    values[200:206] *= 0.01
    masked = panel_of(rows("fra-01", HOURS, values)).hourly[FRA].isna().to_numpy().nonzero()[0]
    assert masked.tolist() == list(range(200, 206))


def test_a_series_that_is_often_off_keeps_its_zeros() -> None:
    values = np.where(np.arange(len(HOURS)) % 100 < 20, 0.0, daily(HOURS))
    assert panel_of(rows("fra-01", HOURS, values)).hourly[FRA].notna().all()


def fallen(hours: int, share: float, *, back: int = 0, days: int = 120) -> pd.Series:
    """Demand that falls to a share of itself for some hours, which ended `back` hours ago, masked."""
    stamps = stamps_of(days)
    values = daily(stamps)
    values[len(values) - back - hours : len(values) - back] *= share
    return panel_of(rows("fra-01", stamps, values)).hourly[FRA]


@pytest.mark.parametrize("share", [0.03, 0.0])
@pytest.mark.parametrize("back", [0, 300])
def test_a_fall_that_lasts_is_the_level_and_a_short_one_an_outage(share: float, back: int) -> None:
    assert fallen(72, share, back=back).isna().sum() == 72
    assert fallen(73, share, back=back).notna().all()


def test_a_site_that_fell_for_good_is_forecast_and_one_without_rows_is_refused() -> None:
    assert refusal_reason(fallen(35 * 24, 0.03, days=400), NOW) is None
    silent = fallen(35 * 24, np.nan, days=400)
    assert (refusal_reason(silent, NOW) or "").startswith("silent since 2026-02-13 12:00 UTC; 35 days")


def test_a_level_that_wavers_about_the_line_is_kept_whole() -> None:
    assert fallen(35 * 24, 0.05, days=400).notna().all()


def test_missing_hours_neither_make_nor_end_a_lasting_fall() -> None:
    stamps = stamps_of(120)
    values = daily(stamps)
    values[-150:] *= 0.02
    values[-150:][::2] = np.nan
    assert panel_of(rows("fra-01", stamps, values)).hourly[FRA].iloc[-150:].notna().sum() == 75
    values[-150:-5] = np.nan
    assert panel_of(rows("fra-01", stamps, values)).hourly[FRA].iloc[-150:].isna().all()


def test_outages_of_a_series_that_once_fell_for_long_stay_masked() -> None:
    stamps = stamps_of(120)
    values = daily(stamps)
    values[500:1200] *= 0.02
    values[2000:2006] = 0.0
    masked = panel_of(rows("fra-01", stamps, values)).hourly[FRA].isna().to_numpy().nonzero()[0]
    assert masked.tolist() == list(range(2000, 2006))


@unhurried
@given(arrays(float, 120, elements=st.sampled_from([0.0, 0.01, 0.4, 0.6, 1.0, 9.0, 20.0, 1e6])))
def test_masking_outages_removes_only_what_is_low_and_changes_nothing_else(values: npt.NDArray[np.float64]) -> None:
    frame = pd.DataFrame({"a": values}, index=stamps_of(5))
    kept = without_outages(frame)["a"]
    removed = frame["a"][kept.isna()]
    usual = frame["a"].groupby(pd.DatetimeIndex(frame.index).hour).transform("median")
    assert kept.dropna().equals(frame["a"][kept.notna()])
    assert (removed < OUTAGE_SHARE * usual[kept.isna()]).all()
    assert len(removed) <= 0.1 * len(values)


def test_samples_are_missing_where_their_hour_is_masked() -> None:
    fine = stamps_of(20, "15min")
    frame = rows("fra-01", fine, daily(fine, noise=0.0))
    hourly = frame.assign(ts=frame["ts"].dt.floor("h")).groupby(["level", "key", "ts"], as_index=False).mean()
    hourly.loc[hourly["ts"] == HOURS[50], "completeness"] = 0.1
    samples = frame[["level", "key", "ts", "egress_gbps"]]
    panel = build(Sources(hourly, samples, REGIONS, no_events(), NOW, pd.Timedelta("15min")), ["egress_gbps"])
    held = panel.samples[FRA]
    missing = pd.DatetimeIndex(held[held.isna()].index)
    assert len(missing) == 4
    assert (missing.floor("h") == HOURS[50]).all()


def test_hours_within_a_coarser_sample_are_samples_of_their_own() -> None:
    """A site at three hours, as the rollups have it, beside one at a quarter of an hour; alone, and in a panel of the
    finer grain.
    """
    fine, coarse = stamps_of(20, "15min"), stamps_of(20, "3h")
    quick, slow = rows("fra-01", fine, daily(fine)), rows("ams-01", coarse, daily(coarse, noise=0.0))
    spread = rows("ams-01", HOURS, np.repeat(slow["egress_gbps"].to_numpy(), 3))
    hourly = quick.assign(ts=quick["ts"].dt.floor("h")).groupby(["level", "key", "ts"], as_index=False).mean()
    alone = build(Sources(spread, slow, REGIONS, no_events(), NOW, pd.Timedelta("3h")), ["egress_gbps"])
    assert alone.grain == pd.Timedelta("1h")
    assert alone.samples.equals(alone.hourly)
    both = build(
        Sources(
            pd.concat([hourly, spread]), pd.concat([quick, slow]), REGIONS, no_events(), NOW, pd.Timedelta("15min")
        ),
        ["egress_gbps"],
    )
    assert both.samples[FRA].tolist() == quick["egress_gbps"].tolist()
    held = both.samples["site", "ams-01", "egress_gbps"].dropna()
    assert held.groupby(held.index.floor("3h")).agg(["size", "nunique"]).drop_duplicates().to_numpy().tolist() == [
        [9, 1]
    ]


def masked_hours(scope: str, series: Series) -> int:
    """Hours of a series that an event of three hours masks, in a network where ams-01 is a tenth of eu, and eu half of
    all.
    """
    weights = {"fra-01": 9.0, "ams-01": 1.0, "nrt-01": 10.0}
    flat = [rows(site, HOURS, np.full(len(HOURS), weight)) for site, weight in weights.items()]
    sums = [
        rows("eu", HOURS, np.full(len(HOURS), 10.0), level="region"),
        rows("all", HOURS, np.full(len(HOURS), 20.0), level="global"),
    ]
    panel = panel_of(
        *flat, *sums, events=no_events(event(f"{HOURS[60]:%Y-%m-%d %H:30}", 2.0, scope=scope, treatment="mask"))
    )
    return int(panel.hourly[series].isna().sum())


@pytest.mark.parametrize(
    ("scope", "level", "key", "hours"),
    [
        ("fra-01", "site", "fra-01", 3),
        ("fra-01", "site", "ams-01", 0),
        ("fra-01", "region", "eu", 3),
        ("ams-01", "region", "eu", 3),
        ("ams-01", "global", "all", 0),
        ("eu", "site", "ams-01", 3),
        ("eu", "site", "nrt-01", 0),
        ("eu", "global", "all", 3),
        ("global", "site", "nrt-01", 3),
        ("elsewhere", "global", "all", 0),
    ],
)
def test_an_event_masks_the_series_that_it_covers_enough_of(scope: str, level: str, key: str, hours: int) -> None:
    assert masked_hours(scope, Series(level, key, "egress_gbps")) == hours  # type: ignore[arg-type]

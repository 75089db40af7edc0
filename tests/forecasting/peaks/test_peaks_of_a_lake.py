"""The coming weeks of a lake: what is refused is told nothing of, and sums are those of the sites that are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.schema import Series
from forecasting.panel.panel import Panel
from forecasting.peaks import weekly_peaks
from forecasting.peaks.simulation import JointPaths, SimulationHistory, simulate
from forecasting.peaks.weekly_peaks import (
    PeakInputs,
    PeakResult,
    forecast_peaks_isolating_failures,
    forecast_weekly_peaks,
    peak_inputs,
)
from forecasting.peaks.weekly_statistics import WEEK, weekly
from tests.forecasting.networks import Reals, daily, panel_of, rows, stamps_of

NOW = pd.Timestamp("2026-03-23", tz="UTC")
WEEKS = 12
SITES = {"ams-01": "eu", "fra-01": "eu", "nrt-01": "asia", "par-01": "eu"}
METRIC = "egress_gbps"
HOURS = stamps_of(7 * WEEKS, now=NOW)
# What arithmetic fails on, in a test.
ODD = 7.5


def site(key: str) -> Series:
    return Series("site", key, METRIC)


def measured() -> dict[str, Reals]:
    """What the sites carried: Frankfurt reports nothing any more for three weeks, Paris each second hour, or rather
    less.
    """
    values = {key: daily(HOURS, 10.0, seed=number) for number, key in enumerate(SITES)}
    values["fra-01"][-3 * 168 :] = np.nan
    values["par-01"][np.arange(len(HOURS)) % 5 > 1] = np.nan
    return values


def panel(values: dict[str, Reals]) -> Panel:
    """The sites, and the network's weeks as sums of what was measured; Paris' samples are whole all the same."""
    held = [rows(key, HOURS[np.isfinite(one)], one[np.isfinite(one)]) for key, one in values.items()]
    samples = np.column_stack(
        [*(daily(HOURS, 10.0, seed=3) if key == "par-01" else one for key, one in values.items())]
    )
    sums = np.column_stack([np.nansum(samples[:, [0, 1, 3]], axis=1), samples[:, 2], np.nansum(samples, axis=1)])
    found = weekly(HOURS.tz_convert(None).to_numpy().astype("datetime64[us]"), np.hstack([samples, sums]))
    names = [
        *(site(key) for key in values),
        Series("region", "eu", METRIC),
        Series("region", "asia", METRIC),
        Series("global", "all", METRIC),
    ]
    frames = [
        pd.DataFrame(
            {
                **name._asdict(),
                "week": found.weeks,
                "peak": found.peak[:, at],
                "p95": found.p95[:, at],
                "completeness": found.completeness[:, at],
            }
        )
        for at, name in enumerate(names)
    ]
    weeks = pd.concat(frames, ignore_index=True)
    return panel_of(*held, now=NOW, regions=SITES, weeks=weeks.assign(week=weeks["week"].dt.tz_localize("UTC")))


@pytest.fixture(scope="module")
def subject() -> PeakInputs:
    found = peak_inputs(panel(measured()), METRIC, 1)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def foreseen(subject: PeakInputs) -> PeakResult:
    return forecast_weekly_peaks(subject)


def test_what_is_refused_has_neither_peaks_nor_paths_nor_scores(subject: PeakInputs, foreseen: PeakResult) -> None:
    """Sums of one site are that site, and copied from it."""
    whole = panel(measured())
    assert {series.key for series in whole.refused} == {"fra-01", "par-01"}
    assert whole.week_sums == {
        Series("region", "eu", METRIC): (site("ams-01"),),
        Series("region", "asia", METRIC): (site("nrt-01"),),
        Series("global", "all", METRIC): (site("ams-01"), site("nrt-01")),
    }
    assert {series.key for series in subject.series} == {"ams-01", "nrt-01", "all"}
    for frame in foreseen:
        assert set(frame["key"]) == {"ams-01", "nrt-01", "all"}


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> PeakInputs:
    """Arithmetic fails on Tokyo, the only site of its region; Frankfurt reports."""
    values = measured() | {"fra-01": daily(HOURS, 10.0, seed=1)}
    values["nrt-01"][0] = ODD
    whole = peak_inputs(panel(values), METRIC, 1)
    assert whole is not None

    def brittle(history: SimulationHistory, *given: Any) -> JointPaths:
        if (history.hourly == ODD).any():
            raise FloatingPointError("overflow")
        return simulate(history, *given)

    monkeypatch.setattr(weekly_peaks, "simulate", brittle)
    return whole


def test_a_site_that_arithmetic_fails_on_is_left_out_of_its_sums(odd: PeakInputs) -> None:
    with pytest.raises(FloatingPointError):
        forecast_weekly_peaks(odd)
    result, failures = forecast_peaks_isolating_failures(odd)
    assert {one.key: reason for one, reason in failures.items()} == {"nrt-01": "FloatingPointError: overflow"}
    for frame in result:
        assert set(frame["key"]) == {"ams-01", "fra-01", "eu", "all"}
    medians = result.peaks[result.peaks["statistic"] == "peak"].groupby("key")["q50"].first()
    assert medians["all"] == pytest.approx(medians["eu"], rel=0.02)


def test_where_arithmetic_fails_on_every_site_all_have_the_reason(
    subject: PeakInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("contains infinity")

    monkeypatch.setattr(weekly_peaks, "simulate", fails)
    result, failures = forecast_peaks_isolating_failures(subject)
    assert failures == dict.fromkeys(subject.series, "ValueError: contains infinity")
    assert [len(frame) for frame in result] == [0, 0, 0]


def test_sums_are_those_of_the_sites_that_report(foreseen: PeakResult, subject: PeakInputs) -> None:
    """Two sites of four are left, in the past as ahead."""
    first = foreseen.peaks[
        (foreseen.peaks["week"] == foreseen.peaks["week"].min()) & (foreseen.peaks["statistic"] == "peak")
    ].set_index("key")["q50"]
    hours = subject.history.hourly
    assert subject.history.weekly.weeks[-1] + WEEK == np.datetime64(NOW.tz_convert(None), "us")
    assert subject.history.weekly.peak[-1, 2] == pytest.approx(hours[-168:].sum(axis=1).max())
    assert first["all"] == pytest.approx(subject.history.weekly.peak[-1, 2], rel=0.1)

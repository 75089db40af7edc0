"""What is complete enough to be forecast: sums without refused sites, weeks that always lack the same hours, and the
reasons.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schema import Series
from forecasting.panel.completeness import always_missing, missing_hours_words, peaks_outside, sum_of_sites
from forecasting.panel.panel import Panel, Sources, build
from tests.forecasting.networks import NOW, no_events, rows, stamps_of

DAYS = 63
HOURS = stamps_of(DAYS)
METRIC = "egress_gbps"
unhurried = settings(deadline=None, max_examples=8)


def site(key: str) -> Series:
    return Series("site", key, METRIC)


EU, ALL = Series("region", "eu", METRIC), Series("global", "all", METRIC)


def evening(level: float = 10.0, seed: int = 1) -> npt.NDArray[np.float64]:
    """Demand that peaks at 20:00 UTC on every day."""
    noise = 0.02 * np.random.default_rng(seed).standard_normal(len(HOURS))
    return level * np.exp(0.5 * np.cos(2 * np.pi * (HOURS.hour.to_numpy() - 20) / 24) + noise)


def weeks_of(hours: pd.DataFrame) -> pd.DataFrame:
    """Peak and P95 of each week of rows (level, key, ts, egress_gbps)."""
    monday = hours["ts"].dt.floor("D") - pd.to_timedelta(hours["ts"].dt.day_of_week, unit="D")
    weeks = hours.assign(week=monday, metric=METRIC).groupby(["level", "key", "metric", "week"])[METRIC]
    of_week = weeks.agg(peak="max", p95=lambda one: one.quantile(0.95), completeness=lambda one: len(one) / 168.0)
    return of_week.reset_index()


def panel(values: dict[str, npt.NDArray[np.float64]], regions: dict[str, str], usual: dict[str, float]) -> Panel:
    """A panel of sites with the sums of their regions and of the network, missing where one in ten is, as in a lake."""
    frames = [rows(key, HOURS[np.isfinite(one)], one[np.isfinite(one)]) for key, one in values.items()]
    wide = pd.DataFrame(values, index=HOURS)
    for level, key, members in (
        *(("region", name, [one for one in values if regions[one] == name]) for name in sorted(set(regions.values()))),
        ("global", "all", list(values)),
    ):
        total = sum_of_sites(wide, members).dropna()
        frames.append(rows(key, pd.DatetimeIndex(total.index), total.to_numpy(), level=level))
    hours = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    samples = hours[hours["ts"] >= NOW - pd.Timedelta(days=28)].drop(columns="completeness")
    carried = {(key, METRIC): value for key, value in usual.items()}
    sources = Sources(
        hours, samples, regions, no_events(), NOW, pd.Timedelta("1h"), weeks=weeks_of(hours), usual=carried
    )
    return build(sources, [METRIC])


def test_a_silent_site_is_no_part_of_the_past_of_its_sums() -> None:
    values = {name: evening(seed=seed) for seed, name in enumerate("abc")}
    values["c"][-20 * 24 :] = np.nan
    made = panel(values, dict.fromkeys("abc", "eu"), {"a": 9.0, "b": 9.0, "c": 2.0})
    both = values["a"] + values["b"]
    assert made.sums[EU] == made.week_sums[ALL] == (site("a"), site("b"))
    assert made.hourly[EU].to_numpy() == pytest.approx(both)
    assert made.samples[ALL].to_numpy() == pytest.approx(both[-28 * 24 :])
    peaks = made.weeks[(made.weeks["key"] == "all") & (made.weeks["completeness"] >= 0.9)]["peak"]
    assert peaks.max() == pytest.approx(both.max(), rel=0.02)
    assert made.without(ALL) == "without c (silent since 2026-02-28 12:00 UTC), 10 % of the network"
    assert EU not in made.refused


def test_sites_whose_holes_leave_a_sum_too_few_hours_in_common_are_left_out() -> None:
    values = {name: evening(seed=seed) for seed, name in enumerate("abc")}
    rng = np.random.default_rng(7)
    for name in "bc":
        values[name][rng.random(len(HOURS)) < 0.45] = np.nan
    made = panel(values, dict.fromkeys("abc", "eu"), {})
    assert site("b") not in made.refused
    assert ALL not in made.refused
    assert site("a") in made.sums[ALL]
    assert made.week_sums[ALL] == (site("a"),)
    assert "(no weekly peaks: no week is whole" in made.without(ALL) or "too few of its hours" in made.without(ALL)


@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        (HOURS.hour < 6, "every day lacks 00:00 to 06:00 UTC"),
        ((HOURS.hour >= 23) | (HOURS.hour < 2), "every day lacks 23:00 to 02:00 UTC"),
        (HOURS.day_of_week >= 5, "every Saturday and Sunday is missing (UTC)"),
        ((HOURS.day_of_week == 2) & (HOURS.hour == 3), "1 of the 168 hours of the week are always missing"),
    ],
)
def test_hours_that_are_always_missing_are_named(lacks: npt.NDArray[np.bool_], words: str) -> None:
    missing = always_missing(pd.Series(np.where(lacks, np.nan, evening()), HOURS))
    assert missing_hours_words(missing) == words
    assert missing.sum() == lacks[-168:].sum()


def test_weeks_count_where_the_hours_that_they_lack_do_not_raise_the_peak() -> None:
    values = {"a": evening(), "b": evening(seed=2)}
    values["a"][HOURS.hour < 6] = np.nan
    made = panel(values, {"a": "eu", "b": "asia"}, {})
    assert made.holes[site("a")] == "every day lacks 00:00 to 06:00 UTC: weekly peaks are those of the other hours"
    assert not made.no_weeks
    assert made.week_sums[ALL] == (site("a"), site("b"))
    assert made.holes[EU] == made.holes[site("a")]


def test_weeks_do_not_count_where_the_peak_may_lie_in_the_hours_that_they_lack() -> None:
    values = {"a": evening(), "b": evening(seed=2)}
    values["a"][(HOURS.hour >= 17) & (HOURS.hour < 23)] = np.nan
    made = panel(values, {"a": "eu", "b": "asia"}, {})
    reason = made.no_weeks[site("a")]
    assert reason.startswith("no week is whole: every day lacks 17:00 to 23:00 UTC, and the peak may lie there; ")
    assert "75% of the hours are measured, 3 weeks with 90% of their hours are needed" in reason
    assert made.week_sums[ALL] == (site("b"),)
    assert "days" not in reason


def test_other_sites_say_by_their_own_clock_whether_hours_may_carry_the_peak() -> None:
    series, lacks = pd.Series(evening(), HOURS), HOURS.hour < 6
    holed = series.where(~lacks)
    missing = always_missing(holed)
    assert peaks_outside(holed, missing, [(series, 0)])
    assert not peaks_outside(holed, missing, [(series, -7)]), "by its clock the other peaks there"
    assert peaks_outside(holed, missing, []), "six hours may be left out where nobody measured them"
    weekdays = series.where(HOURS.day_of_week < 5)
    assert not peaks_outside(weekdays, always_missing(weekdays), []), "two days may not"


@unhurried
@given(
    st.lists(st.sampled_from(["whole", "silent", "holes", "young", "zero", "constant"]), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_a_sum_is_refused_only_where_each_of_its_sites_is_and_one_of_one_site_is_that_site(
    kinds: list[str], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = {}
    for number, kind in enumerate(kinds):
        own = evening(10.0 * (number + 1), seed + number)
        if kind == "silent":
            own[-int(rng.integers(8, 40)) * 24 :] = np.nan
        elif kind == "holes":
            own[rng.random(len(own)) < 0.6] = np.nan
        elif kind == "young":
            own[: -int(rng.integers(2, 12)) * 24] = np.nan
        elif kind != "whole":
            own[:] = 0.0 if kind == "zero" else 7.5
        values[f"s{number}"] = own
    made = panel(values, dict.fromkeys(values, "eu"), {})
    answering = [site(name) for name in values if site(name) not in made.refused]
    for group in (EU, ALL):
        assert (group in made.refused) == (not answering)
        assert set(made.sums[group]) <= set(answering)
        assert bool(made.week_sums[group]) == any(one not in made.no_weeks for one in answering)
        if len(made.sums[group]) == 1:
            assert made.hourly[group].equals(made.hourly[answering[0]].rename(group)) or len(answering) > 1
        if group in made.refused:
            assert all(name in made.refused[group] for name in list(values)[:1])

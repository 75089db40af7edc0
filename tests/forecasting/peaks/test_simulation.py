"""Joint paths: seeded, to scale, and of sums where they are of groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.peaks.simulation import (
    HOUR,
    HOURS,
    WEEKS_AT_LEAST,
    Simulation,
    SimulationHistory,
    _equal_patterns,
    balanced,
    fill_with_donors,
    simulate,
)
from forecasting.peaks.weekly_statistics import WEEK, Reals, Stamps
from tests.forecasting.demand_weeks import FIRST, Shocks, demand, history

unhurried = settings(deadline=None, max_examples=10)
DRAW = Simulation(paths=40, seed=5)
GROUPS = ([0, 1], [2], [0, 1, 2])


@pytest.fixture(scope="module", params=[12, 30], ids=["level of the last weeks", "slope"])
def network(request: pytest.FixtureRequest) -> SimulationHistory:
    return history(demand(request.param, 3), GROUPS)


def test_the_weeks_follow_the_history(network: SimulationHistory) -> None:
    paths = simulate(network, 4, DRAW)
    assert paths.peak.shape == paths.p95.shape == (4, 6, 40)
    assert list(paths.weeks) == [network.weekly.weeks[-1] + (ahead + 1) * WEEK for ahead in range(4)]
    assert np.isfinite(paths.peak).all()


def test_the_same_seed_gives_the_same_paths(network: SimulationHistory) -> None:
    first, again, other = (simulate(network, 3, draw) for draw in (DRAW, DRAW, Simulation(40, 6)))
    assert (first.peak == again.peak).all()
    assert (first.p95 == again.p95).all()
    assert (first.peak != other.peak).any()


def test_the_p95_lies_under_the_peak(network: SimulationHistory) -> None:
    paths = simulate(network, 3, DRAW)
    assert (paths.p95 <= paths.peak).all()


@unhurried
@given(factor=st.floats(1e-6, 1e6))
def test_another_unit_changes_nothing_but_the_unit(network: SimulationHistory, factor: float) -> None:
    paths, scaled = simulate(network, 2, DRAW), simulate(history(network.hourly * factor, GROUPS), 2, DRAW)
    assert scaled.peak == pytest.approx(paths.peak * factor, rel=1e-6)
    assert scaled.p95 == pytest.approx(paths.p95 * factor, rel=1e-6)


def test_the_paths_of_a_group_are_those_of_the_sum_of_its_sites(network: SimulationHistory) -> None:
    paths = simulate(network, 4, DRAW).peak
    parts, total = paths[:, :3], paths[:, 5]
    assert paths[:, 4] == pytest.approx(parts[:, 2], rel=1e-9)
    assert (total <= parts.sum(axis=1) * (1 + 1e-9)).all()
    assert (total >= paths[:, 3] * (1 - 1e-9)).all(), "more demand never lowers a peak"
    assert (total < parts.sum(axis=1)).any(), "the sites' peaks do not all fall into one hour"


def test_a_sum_is_built_hour_by_hour_from_the_drawn_weeks() -> None:
    """Without trend and with one level, a path of the sum is the peak of a past week's sum about the level: told apart
    by its size.
    """
    values = demand(10, 2, shocks=Shocks(0.0, 0.0, 0.0))
    shift = np.repeat(np.random.default_rng(2).permutation(10), HOURS)[:, None] * np.array([0.01, -0.01])
    values = values * np.exp(shift)
    paths = simulate(history(values, ([0, 1],)), 5, DRAW).peak
    steps = np.round(np.log(paths[:, 0] / paths[:, 0].min()) / 0.01).astype(int)
    ratio = paths[:, 1] / paths[:, 1].max()
    assert np.log(ratio) == pytest.approx(-0.01 * steps, abs=1e-3), "both sites draw the same week"
    wave = np.exp(0.5)
    assert paths[:, 2] == pytest.approx(paths[:, 0] + paths[:, 1], rel=1e-6), "waves in step peak together"
    assert paths[:, 0].max() / wave == pytest.approx(np.exp(shift[-8 * HOURS :, 0]).max(), rel=0.02)


def test_the_finest_samples_make_the_peak() -> None:
    values = demand(12, 1)
    plain = history(values)
    spiky = SimulationHistory(plain.stamps, plain.hourly, (), plain.weekly._replace(peak=1.3 * plain.weekly.peak))
    assert simulate(spiky, 2, DRAW).peak == pytest.approx(1.3 * simulate(plain, 2, DRAW).peak)


def test_a_site_without_history_has_no_path_and_leaves_its_group_in_place() -> None:
    values = demand(12, 3)
    values[:, 2] = np.nan
    values[: 8 * HOURS, 1] = np.nan
    paths = simulate(history(values, ([0, 1], [2], [0, 2])), 2, DRAW).peak
    assert np.isfinite(paths[:, [0, 1, 3, 5]]).all()
    assert np.isnan(paths[:, [2, 4]]).all()
    assert paths[:, 5] == pytest.approx(paths[:, 0])


@pytest.mark.parametrize("weeks", [12, 40], ids=["level of the last weeks", "slope"])
@pytest.mark.parametrize("silent", [3, 9])
def test_a_site_that_has_gone_silent_has_no_path_and_carries_nothing_in_the_sums(weeks: int, silent: int) -> None:
    values = demand(weeks, 3)
    values[-silent * HOURS :, 0] = np.nan
    paths, without = (
        simulate(history(values, ([0, 1, 2],)), 3, DRAW),
        simulate(history(values[:, 1:], ([0, 1],)), 3, DRAW),
    )
    assert np.isnan(paths.peak[:, 0]).all()
    assert np.median(paths.peak[:, 3], axis=1) == pytest.approx(np.median(without.peak[:, 2], axis=1), rel=0.02)
    assert np.median(paths.p95[:, 3], axis=1) == pytest.approx(np.median(without.p95[:, 2], axis=1), rel=0.02)


def test_a_silence_of_a_week_is_bridged_and_one_hour_more_is_not() -> None:
    values = demand(12, 1)
    for silent, known in ((HOURS, True), (HOURS + 1, False)):
        values[-silent:] = np.nan
        assert np.isfinite(simulate(history(values), 1, DRAW).peak).all() == known


def test_weeks_ahead_are_all_told_apart_whatever_their_pattern() -> None:
    """NaN is never close to NaN: once, a site without a curve kept this going for ever."""
    pattern = np.zeros((5, HOURS, 2))
    pattern[3:, :, 1], pattern[2, :, 0] = np.nan, 1.0
    assert [list(weeks) for weeks in _equal_patterns(pattern)] == [[0, 1], [2], [3, 4]]


@pytest.mark.parametrize("weeks", range(WEEKS_AT_LEAST))
def test_too_little_history_is_no_path(weeks: int) -> None:
    assert np.isnan(simulate(history(demand(WEEKS_AT_LEAST, 1)[: weeks * HOURS + 30]), 2, DRAW).peak).all()


def test_what_comes_later_is_not_seen() -> None:
    values = demand(14, 2)
    changed = values.copy()
    changed[12 * HOURS :] *= 7.0
    before, after = (simulate(history(one, ([0, 1],)).until(12), 3, DRAW) for one in (values, changed))
    assert (before.peak == after.peak).all()


def test_a_week_that_has_begun_is_the_first_one_ahead() -> None:
    begun = history(demand(12, 1)[: 11 * HOURS + 50])
    assert begun.whole_weeks == 11
    assert simulate(begun, 1, DRAW).weeks[0] == FIRST + 11 * WEEK


def test_metrics_drawn_apart_draw_the_same_weeks() -> None:
    values = demand(12, 2)
    together, alone = simulate(history(values), 3, DRAW), simulate(history(values[:, 1:]), 3, DRAW)
    assert together.peak[:, 1] == pytest.approx(alone.peak[:, 0])


def test_chosen_weeks_are_those_of_all_weeks() -> None:
    past = history(demand(12, 2))
    assert simulate(past, np.array([2, 5]), DRAW).peak == pytest.approx(simulate(past, 5, DRAW).peak[[1, 4]])


def test_a_known_event_lifts_its_week() -> None:
    def known(stamps: Stamps) -> Reals:
        hours = ((stamps - FIRST) / HOUR).astype(int)
        return ((hours // HOURS % 3 == 2) & (hours % HOURS == 100)).astype(float)[:, None]

    values = demand(30, 1, shocks=Shocks(0.01, 0.01, 0.01))
    values *= np.exp(1.5 * known(FIRST + np.arange(len(values)) * HOUR))
    weeks = np.median(simulate(history(values, known=known), 3, DRAW).peak[:, 0], axis=1)
    assert weeks[2] > 1.5 * weeks[:2].max()


def test_growth_goes_on_where_half_a_year_has_shown_it() -> None:
    weeks = np.median(simulate(history(demand(40, 1, growth=0.02)), 26, DRAW).peak[:, 0], axis=1)
    assert np.log(weeks[25] / weeks[0]) == pytest.approx(0.5, abs=0.1)


def test_parts_that_do_not_fit_are_refused() -> None:
    past = history(demand(3, 2))
    with pytest.raises(ValueError, match=r"shape \(3, 2\) for 504 hours; \(3, 1\)"):
        SimulationHistory(past.stamps, past.hourly[:, :1], (), past.weekly)


def test_stand_ins_come_in_turn_from_the_good() -> None:
    assert list(fill_with_donors(np.array([False, True, False, True, False]))) == [1, 1, 1, 3, 1]
    assert list(fill_with_donors(np.zeros(3, dtype=bool))) == [0, 1, 2]


@pytest.mark.parametrize(("blocks", "paths"), [(1, 4), (3, 200), (7, 20), (30, 8)])
def test_each_week_ahead_repeats_every_week_of_the_past_equally_often(blocks: int, paths: int) -> None:
    drawn = balanced(np.random.default_rng(3), 40, blocks, paths)
    counts = np.stack([np.bincount(row, minlength=blocks) for row in drawn])
    assert counts.sum(axis=1).tolist() == [paths] * 40
    assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(balanced(np.random.default_rng(3), 9, blocks, paths), drawn[:9])


def test_which_week_a_path_repeats_says_nothing_of_the_next() -> None:
    drawn = balanced(np.random.default_rng(5), 400, 6, 60)
    together = np.zeros((6, 6))
    np.add.at(together, (drawn[:-1].ravel(), drawn[1:].ravel()), 1.0)
    expected = together.sum() / 36
    assert np.abs(together / expected - 1.0).max() < 0.15

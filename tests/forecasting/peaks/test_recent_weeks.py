"""The median of coming weeks follows the last ones as far as past weeks say."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.peaks.calibration import LEVELS, WeeklyBacktest, Whole
from forecasting.peaks.recent_weeks import (
    CANDIDATES,
    Followed,
    RecentWeeks,
    SimulatedLine,
    follow,
    log_measured,
    moves_ahead,
)
from forecasting.peaks.weekly_statistics import Reals

WEEKS = 30


def measured(weeks: Reals) -> Reals:
    """Weekly values (weeks, 2, series) of series (weeks, series), the same for both statistics."""
    return np.repeat(weeks[:, None], 2, axis=1)


def followed(weeks: Reals, groups: Whole | None = None, level: float = 1.0, trend: float = 0.0) -> Followed:
    """Of weekly values (weeks, series) whose simulated median is always `level`, rising by `trend` of its logarithm a
    week.
    """
    count, series = weeks.shape
    origins, ahead = np.arange(2, count), np.arange(1, 5)
    predicted = np.full((len(origins), len(ahead), 2, len(LEVELS), series), level)
    predicted *= np.exp(trend * (ahead - 1))[None, :, None, None, None]
    actual = np.full((len(origins), len(ahead), 2, series), np.nan)
    for position, origin in enumerate(origins):
        came = weeks[origin : origin + len(ahead)]
        actual[position, : len(came)] = came[:, None]
    labels = np.zeros(series, dtype=np.int64) if groups is None else groups
    past = WeeklyBacktest(origins, ahead, predicted, actual)
    return follow(past, measured(weeks), labels, count, known_events=False)


def median_ahead(found: Followed, weeks: Reals, level: float = 1.0, trend: float = 0.0) -> Reals:
    """The median peak of the next four weeks, (4, series)."""
    recent = RecentWeeks.before(len(weeks), log_measured(measured(weeks)))
    simulated = np.full((4, 2, weeks.shape[1]), level) * np.exp(trend * np.arange(4))[:, None, None]
    moves = moves_ahead(found.weights, found.past.ahead, simulated, recent, known_events=False)
    return np.asarray((simulated * np.exp(moves))[:, 0])


def test_a_series_with_little_past_repeats_its_last_week() -> None:
    weeks = np.array([[3.0], [4.0], [5.0]])
    assert median_ahead(followed(weeks), weeks) == pytest.approx(5.0)


def test_weeks_that_scatter_about_the_simulated_level_stay_with_it() -> None:
    weeks = np.exp(0.1 * np.random.default_rng(1).standard_normal((WEEKS, 8)))
    assert median_ahead(followed(weeks), weeks) == pytest.approx(1.0, abs=0.06)
    assert np.abs(np.log(weeks[-1])).max() > 0.12, "else repeating would do as well"


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_a_step_that_lasts_is_followed_at_once_and_moves_no_other_series(factor: float) -> None:
    weeks = np.exp(0.1 * np.random.default_rng(2).standard_normal((WEEKS, 8)))
    stepped = weeks.copy()
    stepped[-4:, 0] *= factor
    before, after = (median_ahead(followed(each), each) for each in (weeks, stepped))
    assert after[:, 0] == pytest.approx(factor, rel=0.3)
    assert after[:, 1:] == pytest.approx(before[:, 1:], rel=0.05)


def test_a_lasting_decline_is_carried_on_by_the_series_that_declines() -> None:
    weeks = np.exp(0.03 * np.random.default_rng(3).standard_normal((14, 6)))
    weeks[:, 0] *= np.exp(-0.2 * np.arange(14))
    found = median_ahead(followed(weeks), weeks)
    assert (found[:, 0] < weeks[-1, 0]).all()
    assert found[:, 1:] == pytest.approx(1.0, abs=0.1)


def test_a_trend_that_was_right_is_kept_and_one_that_was_wrong_is_not() -> None:
    noise = np.exp(0.05 * np.random.default_rng(4).standard_normal((WEEKS, 8)))
    rising = noise * np.exp(0.1 * np.arange(WEEKS))[:, None]
    wrong = median_ahead(followed(noise, trend=0.2), noise, trend=0.2)
    assert wrong == pytest.approx(np.ones((4, 8)), abs=0.15)
    found = followed(rising, level=1.0, trend=0.1)
    grown = median_ahead(found, rising, trend=0.1)
    assert np.log(grown[3] / grown[0]) == pytest.approx(0.3, abs=0.15)


def test_further_weeks_than_history_could_check_go_on_as_the_nearer_ones() -> None:
    """A site that grew for nine weeks does not fall back to its last week where a longer forecast is not proven."""
    weeks = np.exp(0.03 * np.random.default_rng(6).standard_normal((9, 6)))
    weeks[:, 0] *= np.exp(0.2 * np.arange(9))
    found = median_ahead(followed(weeks), weeks)[:, 0]
    assert (np.diff(found) > 0.0).all()


def test_nothing_is_seen_before_it_comes_and_other_groups_decide_nothing() -> None:
    weeks = np.exp(0.1 * np.random.default_rng(5).standard_normal((WEEKS, 4)))
    later, other = weeks.copy(), weeks.copy()
    later[20:] *= 5.0
    other[:, 3] *= np.exp(0.2 * np.arange(WEEKS))
    labels = np.array([0, 0, 0, 1])
    plain, changed, apart = (followed(each, labels).past for each in (weeks, later, other))
    known = plain.origins <= 20
    assert (plain.predicted[known] == changed.predicted[known]).all()
    assert (plain.predicted[~known] != changed.predicted[~known]).any()
    assert (plain.predicted[..., :3] == apart.predicted[..., :3]).all()


def test_weeks_without_traffic_or_measurement_are_passed_over() -> None:
    weeks = measured(np.array([[2.0, 2.0], [4.0, 4.0], [0.0, np.nan], [np.nan, 0.0]]))
    recent = RecentWeeks.before(4, log_measured(weeks))
    assert np.exp(recent.last) == pytest.approx(4.0)
    assert np.exp(recent.usual) == pytest.approx(np.sqrt(8.0))
    assert (recent.drift == 0.0).all()
    nothing = RecentWeeks.before(4, log_measured(np.full((4, 2, 1), np.nan)))
    moves = moves_ahead(
        np.empty((0, len(CANDIDATES), 2, 1)), np.array([], dtype=int), np.ones((3, 2, 1)), nothing, True
    )
    assert (moves == 0.0).all(), "a series that measured nothing keeps what is simulated"


def test_an_event_that_bends_a_week_is_no_part_of_level_or_trend() -> None:
    ahead = np.arange(1, 7)
    median = 0.1 * ahead[:, None, None] * np.ones((6, 2, 1))
    bent = median.copy()
    bent[[0, 3]] += 1.0
    plain, line = (SimulatedLine.through(each, ahead, known_events=True) for each in (median, bent))
    assert line.level == pytest.approx(plain.level)
    assert line.rise == pytest.approx(plain.rise)

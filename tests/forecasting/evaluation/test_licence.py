"""The licence: who is drawn, and the sentence that says why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.evaluation.backtest import HorizonBand
from forecasting.evaluation.licence import BLEND, MIXTURE, Licence, Verdict, licences, verdicts

BANDS = (HorizonBand("0-24 h", 0, 24), HorizonBand("1-7 d", 24, 168))
NAMES = ("copy", "median")


def judged(
    blend: float, copy: float, median: float, origins: int = 8, series: int = 1, spread: float = 0.1, seed: int = 0
) -> list[Licence]:
    """The licences of the first series where errors are about so large."""
    rng = np.random.default_rng(seed)
    wobble = np.exp(spread * rng.normal(size=(3, origins, 2, series)))
    errors = np.array([blend, copy, median])[:, None, None, None] * wobble
    found = verdicts(
        errors[0], np.stack([errors[1], errors[2]], axis=1), np.array([float(origins), float(origins)]), default=1
    )
    return licences(found, BANDS, NAMES, 0)


def test_a_blend_that_clearly_beats_the_best_baseline_is_drawn() -> None:
    first, _ = judged(1.0, 2.0, 1.5)
    assert (first.drawn, first.baseline, first.horizon, first.origins) == (BLEND, "median", "0-24 h", 8)
    assert first.gain == pytest.approx(np.log(1.5), abs=0.1)
    assert first.share == pytest.approx(1.0, abs=1e-3)
    assert first.sentence.startswith("The blend is drawn: it beat median, the best baseline, by 3")
    assert "over 8 origins" in first.sentence


def test_a_blend_that_is_worse_by_far_leaves_next_to_all_to_the_best_baseline_and_says_so() -> None:
    first, _ = judged(1.9, 2.5, 1.5)
    assert (first.drawn, first.baseline) == (MIXTURE, "median")
    assert first.share == pytest.approx(0.0, abs=1e-2)
    assert first.sentence.startswith(
        "A mixture is drawn, 1 % the blend and the rest median: against this baseline the blend erred 1"
    )
    assert " % more, give or take " in first.sentence
    assert "no proof" in first.sentence
    assert judged(2.5, 2.5, 1.0)[0].sentence.startswith("Median is drawn: against this baseline the blend erred")


@given(st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=8), st.floats(0.01, 1.0))
def test_the_share_of_the_blend_rises_with_its_gain_over_the_noise(logs: list[float], more: float) -> None:
    def share(shift: float) -> Verdict:
        blend = np.exp(-np.array(logs) - shift)[:, None, None]
        return verdicts(blend, np.ones((len(logs), 1, 1, 1)), np.array([float(len(logs))]), 0)[0]

    worse, better = share(0.0), share(more)
    assert 0.0 <= worse.share[0] <= better.share[0] + 1e-9 <= 1.0 + 1e-9
    z = worse.gain[0] / worse.standard_error[0] if worse.standard_error[0] > 1e-6 else 0.0
    if abs(z) < 8.0 and worse.standard_error[0] > 1e-6:
        assert worse.share[0] == pytest.approx(1.0 / (1.0 + np.exp(-1.7 * (z + 0.5))))


def test_a_margin_within_its_noise_is_no_proof() -> None:
    blend = np.array([0.5, 2.0, 0.5, 2.0, 0.4, 2.0])[:, None, None]
    found = verdicts(blend, np.full((6, 1, 1, 1), 1.1), np.array([6.0]), 0)[0]
    assert 0.0 < found.gain[0] < found.standard_error[0]
    assert not found.licensed[0]


def test_two_origins_prove_nothing_for_one_series_but_something_for_a_panel() -> None:
    alone = judged(1.0, 2.0, 1.5, origins=2)[0]
    assert (alone.drawn, alone.share) == (MIXTURE, 0.5)
    assert alone.sentence == (
        "A mixture is drawn, 50 % the blend and the rest median: the history is too short for backtests that could prove anything better."
    )
    assert judged(1.0, 2.0, 1.5, origins=2, series=12)[0].drawn == BLEND


def test_without_a_backtest_the_default_stands_and_the_sentence_says_why() -> None:
    found = verdicts(np.empty((0, 2, 1)), np.empty((0, 2, 2, 1)), np.zeros(2), default=1)
    first, second = licences(found, BANDS, NAMES, 0)
    assert first.drawn == second.drawn == "median"
    assert first.share == 0.0
    assert first.sentence == "Median is drawn: the history is too short for backtests that could prove anything better."


def test_a_band_that_no_origin_saw_takes_over_the_verdict_before_it() -> None:
    blend, others = np.full((4, 2, 1), 1.0), np.full((4, 2, 2, 1), 2.0)
    blend[:, 1], others[:, :, 1] = np.nan, np.nan
    first, second = licences(verdicts(blend, others, np.array([4.0, 0.0]), 0), BANDS, NAMES, 0)
    assert (first.drawn, second.drawn) == (BLEND, BLEND)
    assert (first.origins, second.origins) == (4, 0)
    assert (
        second.sentence
        == "The blend is drawn, as nearer to now: the history is too short for backtests this far ahead."
    )


def test_which_baseline_is_the_best_is_not_judged_at_the_origin_that_it_is_compared_at() -> None:
    # Each baseline is perfect at one origin and poor at the others: who picks the best with hindsight sees a champion
    # that was none.
    others = np.full((3, 3, 1, 1), 4.0)
    for place in range(3):
        others[place, place] = 0.1
    found = verdicts(np.full((3, 1, 1), 2.0), others, np.array([3.0]), 0)[0]
    assert found.gain[0] == pytest.approx(np.log(2.0), abs=0.05)
    assert found.licensed[0]


def test_a_series_leans_on_a_panel_that_agrees_and_not_on_one_that_does_not() -> None:
    rng = np.random.default_rng(5)
    own = np.exp(0.8 * rng.normal(size=(4, 1, 1)))
    agreeing = np.concatenate([own, 0.5 * np.exp(0.1 * rng.normal(size=(4, 1, 20)))], axis=2)
    baselines = np.ones((4, 1, 1, 21))
    together = verdicts(agreeing, baselines, np.array([4.0]), 0)[0]
    alone = verdicts(own, baselines[:, :, :, :1], np.array([4.0]), 0)[0]
    assert together.standard_error[0] < alone.standard_error[0]
    assert abs(together.gain[0] - np.log(2.0)) < abs(alone.gain[0] - np.log(2.0))


def test_errors_of_zero_are_compared() -> None:
    found = verdicts(np.zeros((4, 1, 1)), np.zeros((4, 2, 1, 1)), np.array([4.0]), 0)[0]
    assert found.gain[0] == 0.0
    assert not found.licensed[0]


def of_a_panel(last: float) -> tuple[Verdict, str]:
    """The verdict on 21 series, all but the first of which gain about a half, and the sentence of the first, whose last
    error is given.
    """
    blend, baselines = 0.5 * np.exp(0.3 * np.random.default_rng(1).normal(size=(6, 1, 21))), np.ones((6, 1, 1, 21))
    blend[:, 0, 0] = [0.2, 0.9, 0.9, 0.9, 0.9, last]
    found = verdicts(blend, baselines, np.array([6.0]), 0)[0]
    assert found.gain[0] > found.standard_error[0]
    assert found.licensed[1:].all()
    return found, licences([found], BANDS[:1], NAMES, 0)[0].sentence


def test_a_panel_does_not_license_a_series_whose_own_errors_are_higher_by_more_than_the_noise() -> None:
    found, sentence = of_a_panel(last=5.6)
    assert not found.licensed[0]
    assert (
        "no proof, for its own mean error was no lower (mean absolute error 1.57 against 1 over 6 origins)" in sentence
    )


def test_a_series_whose_own_errors_are_higher_within_the_noise_leans_on_its_panel_and_says_so() -> None:
    found, sentence = of_a_panel(last=2.6)
    assert found.licensed[0]
    assert (
        "(mean absolute error 1.07 against 1 over 6 origins; on this series alone no lower, within the noise)"
        in sentence
    )


def test_idle_and_constant_series_take_no_licence_from_the_others_of_their_panel() -> None:
    rng = np.random.default_rng(3)
    blend, baselines = 0.8 * np.exp(0.1 * rng.normal(size=(8, 1, 9))), np.ones((8, 1, 1, 9))
    blend[:, 0, 6:] = [1e-9, 0.0, 0.01]  # a constant to rounding, an idle one, and one that nearly is
    baselines[:, 0, 0, 6:] = 0.0
    together = verdicts(blend, baselines, np.array([8.0]), 0)[0]
    apart = verdicts(blend[:, :, :6], baselines[:, :, :, :6], np.array([8.0]), 0)[0]
    assert apart.licensed.all()
    assert together.licensed[:6].all()
    assert not together.licensed[6:].any()
    assert (together.standard_error[:6] < 0.1).all()


def test_an_error_next_to_nothing_on_a_day_without_traffic_outweighs_no_other_day() -> None:
    blend, baseline = np.full((6, 1, 1), 0.7), np.ones((6, 1, 1, 1))
    blend[0], baseline[0] = 1e-3, 0.0
    found = verdicts(blend, baseline, np.array([6.0]), 0)[0]
    assert found.licensed[0]

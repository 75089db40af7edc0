"""The failures of a case: each site in turn, and one that was chosen, week by week."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.planning import PlanCase
from forecasting.planning.capacity import Policy
from forecasting.planning.failover import nearby
from forecasting.planning.failures import (
    FAILURE_WEEKS,
    FailureRefusal,
    FailureSpec,
    FailureTimeline,
    failure_report,
    play_failure,
)
from tests.forecasting.planning.networks import demand, installed

KEYS = ("a", "b", "c")
NO_PATHS = pd.DataFrame(columns=["source_site_id", "target_site_id", "gbps", "inflow_gbps"])


def case() -> PlanCase:
    """Three sites near each other, two of 100 Gbps; `a`, of 120, outgrows what the others have room for after ten weeks."""
    weeks = np.arange(40)
    gbps = np.stack([np.where(weeks < 10, 60.0, 90.0), np.full(40, 70.0), np.full(40, 50.0)])[:, :, None]
    sites = pd.DataFrame(
        {"site_id": KEYS, "region_id": ["eu", "eu", "uk"], "partner": "acme", "lat": 50.0, "lon": [4.0, 5.0, 6.0]}
    )
    wanted = demand(np.repeat(gbps, 4, axis=2), KEYS)
    return PlanCase(
        wanted, installed([120.0, 100.0, 100.0], KEYS), sites, Policy(), nearby(sites, KEYS), refused={"d": "silent"}
    )


def played(spec: FailureSpec) -> FailureTimeline:
    timeline = play_failure(case(), spec, 0.5, paths=NO_PATHS, viewers_per_gbps={"a": 100.0})
    assert isinstance(timeline, FailureTimeline)
    return timeline


def test_the_report_names_what_sheds_most_and_until_when_nothing_does() -> None:
    report = failure_report(case())
    assert report.first_week["shed_gbps"].tolist() == [0.0, 0.0, 0.0]
    assert report.months["key"].iloc[-1] == "a"
    assert report.months["shed_gbps"].iloc[-1] == pytest.approx(10.0)
    assert set(report.months["passes"].iloc[-1]) == {"b", "c"}
    assert report.safe_until.answer == "within"


def test_a_site_sheds_what_the_others_have_no_room_for() -> None:
    timeline = played(FailureSpec("site", "a"))
    assert len(timeline.weeks) == FAILURE_WEEKS
    assert timeline.share == {"a": 1.0}
    assert timeline.weeks["displaced_gbps"].iloc[[0, -1]].tolist() == pytest.approx([60.0, 90.0])
    assert timeline.weeks["shed_gbps"].iloc[[0, -1]].tolist() == pytest.approx([0.0, 10.0], abs=1e-5)
    assert timeline.weeks["shed_viewers"].iloc[-1] == pytest.approx(1000.0, rel=1e-5)
    last = timeline.sites[timeline.sites["week"] == timeline.weeks["week"].iloc[-1]].set_index("site_id")
    assert last["load_gbps"].to_dict() == pytest.approx({"a": 0.0, "b": 100.0, "c": 100.0}, abs=1e-5)
    assert last["passed"].to_dict() == {"a": False, "b": True, "c": True}
    moved = timeline.moves.groupby("week")["gbps"].sum()
    assert moved.to_numpy() == pytest.approx(timeline.weeks["moved_gbps"].to_numpy())


def test_a_region_takes_its_sites_and_a_path_its_part_of_the_inflow() -> None:
    assert played(FailureSpec("region", "eu")).share == {"a": 1.0, "b": 1.0}
    paths = pd.DataFrame([["c", "a", 20.0, 80.0]], columns=NO_PATHS.columns)
    timeline = play_failure(case(), FailureSpec("path", "a", "c"), 0.5, paths=paths, viewers_per_gbps=None)
    assert isinstance(timeline, FailureTimeline)
    assert timeline.share == {"a": 0.25}
    assert timeline.weeks["shed_viewers"].isna().all()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (FailureSpec("site", "d"), "it has no futures: silent"),
        (FailureSpec("site", "e"), "it has no futures: no traffic this way was ever measured"),
        (FailureSpec("region", "sa"), "none of its sites has futures"),
        (FailureSpec("path", "a", "b"), "no flow came that way in the last 7 days"),
    ],
)
def test_what_cannot_fail_says_why(spec: FailureSpec, reason: str) -> None:
    assert play_failure(case(), spec, 0.5, paths=NO_PATHS, viewers_per_gbps=None) == FailureRefusal(reason)

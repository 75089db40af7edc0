"""The pages on telemetry that is coarser than an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.app.conftest import Opener
from tests.lakes import Plan, full_lake


@pytest.fixture(scope="module", params=[3, 24])
def coarse(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sites at three hours, or a day, with forecasts of one run."""
    where = tmp_path_factory.mktemp("coarse") / f"{request.param}-hours"
    full_lake(
        where,
        Plan(sites=3, days=9, end=datetime(2026, 3, 17, tzinfo=UTC), grain=timedelta(hours=request.param), gap=None),
    )
    return where


@pytest.mark.parametrize(
    ("page", "asked"),
    [
        ("overview", {}),
        ("region", {"region": "eu-west"}),
        ("region", {"region": "eu-west", "grain": "1h"}),
        ("data", {}),
    ],
)
def test_every_page_shows_coarse_telemetry(open_page: Opener, coarse: Path, page: str, asked: dict[str, str]) -> None:
    shown = open_page(page, coarse, **asked)
    assert not shown.exception
    assert not shown.error
    # The newest hour lies within the newest sample, and so does the same hour a week ago.
    if page != "data":
        peak = {metric.label: (metric.value, metric.delta) for metric in shown.metric}["Egress, peak 24 h"]
        day, now = ("306 Gbps", "157 Gbps") if "3-hours" in coarse.parts else ("218 Gbps", "218 Gbps")
        assert peak == (day, f"now {now}" if page == "overview" else "+3.5 % on last week")

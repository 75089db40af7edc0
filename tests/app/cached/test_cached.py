"""Kept answers: asked once for a version, the same as the lake's own, and safe from the pages that use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import streamlit as st

from app import cached
from data import queries
from data.lake.query import EVERYTHING, Scope
from data.lake.tables import Lake
from data.queries.metrics import QUERY_SECONDS
from data.schema import Series
from tests.conftest import SharedLake
from tests.judged_runs import judged_lake
from tests.lakes import Plan, full_lake

FRANKFURT = Series("site", "fra-01", "egress_gbps")
NOW = pd.Timestamp(Plan().end)
SITES = ("fra-01", "par-01")
RANGE = {"start": NOW - pd.Timedelta(days=1), "end": NOW}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "map_at": {"ts": NOW - pd.Timedelta(hours=3)},
    "flows_at": {"ts": NOW - pd.Timedelta(hours=3)},
    "history": {"level": "site", "key": "fra-01", "metrics": ("egress_gbps",), "grain": "1h", **RANGE},
    "capacity_steps": {"level": "site", "key": "fra-01", "direction": "egress"},
    "events": {"level": "site", "key": "fra-01", **RANGE},
    "gaps": {"level": "site", "key": "fra-01", **RANGE},
    "site_series": {"region_id": "eu-west", "metric": "egress_gbps", **RANGE},
    "forecast": {"series": Series("site", "fra-01", "egress_gbps"), "start": NOW, "end": NOW + pd.Timedelta(days=1)},
    "bands": {"series": Series("site", "fra-01", "egress_gbps"), **RANGE},
    "fit": {"series": Series("site", "fra-01", "egress_gbps")},
    "completeness": {"days": 2},
    "futures": {"level": "site", "metric": "egress_gbps", "statistic": "peak"},
    "weekly": {"metrics": ("egress_gbps",), **RANGE},
    "usual": {"metric": "egress_gbps"},
    "hours_of_day": {"metric": "egress_gbps", **RANGE},
    "partner_months": {"metrics": ("egress_gbps",), **RANGE},
    "planned_augments": {"direction": "egress"},
    "site_capacity_steps": {"direction": "egress", "sites": SITES},
    "site_fits": {"metric": "egress_gbps"},
    "site_forecasts": {"metric": "egress_gbps", "sites": SITES, "start": NOW, "end": NOW + pd.Timedelta(days=1)},
    "samples_set_aside": {"level": "global", "key": "all", "metric": "egress_gbps", **RANGE},
    "site_hours": {"metric": "egress_gbps", "sites": SITES, **RANGE},
    "compare": {
        "subjects": (queries.Subject("site", "fra-01", NOW.floor("D") - pd.Timedelta(days=1), NOW.floor("D")),),
        "metric": "egress_gbps",
        "zone": "UTC",
    },
    "drivers": {"region_id": "eu-west", "metric": "egress_gbps", "at": NOW.floor("h"), "most": 3},
    "weekly_peaks": {"level": "site", "key": "fra-01", "metric": "egress_gbps", "weeks": 2},
}
# A million samples are not kept: what is learned from them is, in app.cached.limits. The Overview counts over sites
# that are kept, with the plan's dates. Plans and costs keep what they make of plan_tables and capacity_now. Anomalies are made of
# frames, and ask no lake.
NOT_KEPT = frozenset(
    {
        "anomalies",
        "backtest_weeks",
        "loads",
        "counts",
        "reads",
        "refit_inputs",
        "plan_tables",
        "capacity_now",
        "group_hours",
    }
)
# Questions about what a run says of its own models, which the lake of the others has not.
JUDGED: dict[str, dict[str, Any]] = {
    "licences": {},
    "calibration": {},
    **{
        name: {"series": FRANKFURT}
        for name in ("licence", "scores", "coverage", "residuals", "peaks", "drift", "hindsight")
    },
    "backtest": {"series": FRANKFURT, "origin": pd.Timestamp("2026-03-13", tz="UTC")},
    "run_against_run": {"series": FRANKFURT, "run": 2, "against": 1},
}
QUESTIONS = [name for name in queries.__all__ if name[0].islower() and name not in {*JUDGED, *NOT_KEPT}]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return full_lake(tmp_path_factory.mktemp("cached") / "lake", Plan(sites=3, days=9))


@pytest.fixture(scope="module")
def judged(shared_lake: SharedLake) -> Lake:
    return Lake(shared_lake("judged", judged_lake))


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def asked(name: str) -> float:
    """How often the lake was asked since the process began."""
    question = getattr(queries, name).name
    return sum(
        s.value
        for m in QUERY_SECONDS.collect()
        for s in m.samples
        if s.name.endswith("_count") and s.labels["question"] == question
    )


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_kept_answer_is_the_lakes_own_and_is_asked_once(lake: Lake, name: str) -> None:
    """The kept question sees only the tables in its key: were one missing there, the answers would differ."""
    _kept_and_own(lake, name, ARGUMENTS.get(name, {}))


@pytest.mark.parametrize("name", sorted(JUDGED))
def test_a_kept_answer_about_the_models_is_the_lakes_own_and_is_asked_once(judged: Lake, name: str) -> None:
    assert len(_kept_and_own(judged, name, JUDGED[name])) > 0


def _kept_and_own(lake: Lake, name: str, arguments: dict[str, Any]) -> Any:
    pin, before = lake.pin(), asked(name)
    own = getattr(queries, name)(pin, EVERYTHING, **arguments)
    for _ in range(3):
        kept = getattr(cached, name)(pin, EVERYTHING, **arguments)
        pd.testing.assert_frame_equal(kept, own) if isinstance(own, pd.DataFrame) else _equal(kept, own)
    assert asked(name) - before == 1
    return own


def _equal(kept: object, own: object) -> None:
    assert repr(kept) == repr(own)


def test_a_page_that_changes_its_copy_leaves_the_kept_frame_alone(lake: Lake) -> None:
    pin = lake.pin()
    mine = cached.catalogue(pin, EVERYTHING)
    mine["name"] = "changed"
    mine.loc[0, "city"] = "changed"
    del mine["lat"]
    assert "changed" not in cached.catalogue(pin, EVERYTHING).to_csv()
    assert "lat" in cached.catalogue(pin, EVERYTHING)


def test_only_a_new_version_of_a_table_that_is_used_asks_again(tmp_path: Path) -> None:
    lake = full_lake(tmp_path / "lake", Plan(sites=2, days=1, forecasts=False, gap=None))
    before = asked("catalogue")
    cached.catalogue(lake.pin(), EVERYTHING)
    lake.append("events", lake.read("events"))
    cached.catalogue(lake.pin(), EVERYTHING)
    assert asked("catalogue") - before == 1
    lake.replace("sites", lake.read("sites").slice(0, 1))
    assert len(cached.catalogue(lake.pin(), EVERYTHING)) == 1
    assert asked("catalogue") - before == 2


def test_every_scope_has_its_own_answer(lake: Lake) -> None:
    pin = lake.pin()
    scopes = [Scope(), Scope(frozenset({"fra-01"})), Scope(frozenset({"par-01", "fra-01"})), Scope(frozenset())]
    assert [len(cached.catalogue(pin, scope)) for scope in scopes] == [3, 1, 2, 0]
    assert [len(cached.catalogue(pin, scope)) for scope in scopes] == [3, 1, 2, 0]


def test_the_pin_is_of_the_lake_in_the_environment(lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADROOM_LAKE", lake.url)
    assert cached.current_pin() == lake.pin()
    monkeypatch.setenv("HEADROOM_LAKE", str(tmp_path / "none"))
    assert cached.current_pin().versions == ()
    monkeypatch.delenv("HEADROOM_LAKE")
    assert cached.lake_url() == "var/lake"


def test_the_pin_is_looked_up_once_in_a_while(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_LAKE", lake.url)
    first = cached.current_pin()
    lake.append("events", lake.read("events").slice(0, 0))
    assert cached.current_pin() == first
    st.cache_resource.clear()
    assert cached.current_pin() == lake.pin() != first


def test_progress_is_the_note_of_the_refresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_LAKE", str(tmp_path / "lake"))
    assert cached.progress() is None
    st.cache_resource.clear()
    Lake(tmp_path / "lake").write_note("refresh", {"state": "running", "done": 3, "total": 9})
    assert cached.progress() == {"state": "running", "done": 3, "total": 9}


def test_an_error_is_not_kept(lake: Lake) -> None:
    pin = lake.pin()
    for _ in range(2):
        with pytest.raises(cached.HeadroomError, match="There is no metric 'bandwidth'"):
            cached.site_series(pin, EVERYTHING, None, "bandwidth", NOW, NOW)


def test_metrics_carry_the_lake_and_the_questions(lake: Lake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADROOM_LAKE", lake.url)
    cached.catalogue(cached.current_pin(), EVERYTHING)
    cached.count_error("tests")
    with cached.timed_page("tests"):
        pass
    text = cached.metrics_text().decode()
    for line in (
        "headroom_lake_readable 1.0",
        'headroom_query_seconds_count{question="data.queries.network.catalogue"}',
        'headroom_errors_total{where="tests"}',
        'headroom_page_seconds_count{page="tests"}',
    ):
        assert line in text


def test_a_frame_of_the_dictionary_names_every_table() -> None:
    assert {"telemetry", "sites", "forecasts"} <= set(cached.dictionary()["table"])

"""A page asks the lake as often for twelve sites as for four."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st

from data.queries.metrics import QUERY_SECONDS
from tests.app.conftest import Opener
from tests.lakes import Plan, full_lake
from tests.planned_lake import planned_lake

FEW, MANY = 4, 12


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Lakes of few and of many sites, of which at least one needs a look."""
    where = tmp_path_factory.mktemp("sized")
    for sites in (FEW, MANY):
        full_lake(where / str(sites), Plan(sites=sites, days=9))
    return {sites: where / str(sites) for sites in (FEW, MANY)}


def asked() -> dict[str, int]:
    """How often each query was asked since the process began."""
    samples = (sample for family in QUERY_SECONDS.collect() for sample in family.samples)
    return {s.labels["question"]: int(s.value) for s in samples if s.name.endswith("_count")}


def queries_of(open_page: Opener, page: str, lake: Path, **state: str) -> dict[str, int]:
    """The queries of a page's first drawing, with nothing kept."""
    st.cache_resource.clear()
    before = asked()
    test = open_page(page, lake, **state)
    assert not test.exception
    return {name: count - before.get(name, 0) for name, count in asked().items() if count > before.get(name, 0)}


@pytest.mark.parametrize(("page", "state"), [("overview", {}), ("region", {})])
def test_a_page_asks_as_often_for_many_sites_as_for_few(
    open_page: Opener, sized: dict[int, Path], page: str, state: dict[str, str]
) -> None:
    few, many = (queries_of(open_page, page, sized[sites], **state) for sites in (FEW, MANY))
    assert sum(few.values()) > 5
    assert many == few


def test_the_plan_asks_once_what_became_of_all_sites(open_page: Opener, tmp_path: Path) -> None:
    planned_lake(tmp_path / "lake")
    counts = queries_of(open_page, "capacity", tmp_path / "lake")
    assert "data.queries.forecasts.fit" not in counts
    assert counts["app.cached.planning.published_case"] <= 2

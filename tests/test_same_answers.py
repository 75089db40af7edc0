"""One answer to each question: the Capacity page, the Overview, Region, the command and a saved plan give equal states, order,
dates and Gbps, on lakes of every awkward kind.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.cached import planning
from app.cached.planning import PlanQuery
from app.charts.panels import Panel
from app.theme import STATES
from app.views.capacity.run_out_charts import GRADES
from app.views.region import traffic
from app.views.region.charts import Site, site_panels
from data import queries
from data.lake.query import Scope
from data.lake.tables import Lake, Pin
from data.schema import UTILISATION_LIMIT
from data.store import Plans, open_store, store_url
from forecasting.__main__ import main as forecasting_command
from forecasting.planning.plan import DATES, PLAN_COLUMNS
from tests.conftest import SharedLake
from tests.planned_lake import START, planned_lake
from tests.real_lakes import NETWORKS, real_lake

MAIN = Path(__file__).resolve().parents[1] / "app" / "main.py"
CLOSED = START + pd.Timedelta(weeks=10)
LATE = START + pd.Timedelta(days=2)
WORDS = {f"{state.glyph} {state.word}": name for name, state in STATES.items()}


def rewrite(lake: Lake, table: str, rows: pd.DataFrame) -> None:
    lake.replace(table, pa.Table.from_pandas(rows, schema=lake.read(table).schema, preserve_index=False))


def unknown_lead_times(lake: Lake) -> None:
    sites = lake.read("sites").to_pandas()
    rewrite(lake, "sites", sites.assign(lead_time_days=[np.nan, *[60.0] * (len(sites) - 1)]))


def no_telemetry(lake: Lake) -> None:
    """A site with declared capacity that never reported."""
    sites, capacity = lake.read("sites").to_pandas(), lake.read("capacity").to_pandas()
    new = sites[sites["site_id"] == "ams-01"].assign(site_id="new-01", name="New 1")
    rewrite(lake, "sites", pd.concat([sites, new], ignore_index=True))
    steps = capacity[capacity["site_id"] == "ams-01"].assign(site_id="new-01")
    rewrite(lake, "capacity", pd.concat([capacity, steps], ignore_index=True))


def closed_site(lake: Lake) -> None:
    add_step(lake, "iad-01", CLOSED, 0.0, "planned")


def late_augment(lake: Lake) -> None:
    add_step(lake, "fra-01", LATE, 5000.0, "planned")


def add_step(lake: Lake, site: str, day: pd.Timestamp, gbps: float, status: str) -> None:
    capacity = lake.read("capacity").to_pandas()
    step = capacity[(capacity["site_id"] == site) & (capacity["direction"] == "egress")].head(1)
    step = step.assign(effective_from=day, capacity_gbps=gbps, status=status)
    rewrite(lake, "capacity", pd.concat([capacity, step], ignore_index=True))


# What breaks an answer on one site must not hide what breaks it on another: all of it is in one lake.
AWKWARD: tuple[Callable[[Lake], None], ...] = (unknown_lead_times, no_telemetry, closed_site, late_augment)


@pytest.fixture(scope="module")
def plain(shared_lake: SharedLake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(shared_lake("planned", planned_lake), tmp_path_factory.mktemp("same") / "plain"))


@pytest.fixture(scope="module")
def awkward(plain: Path) -> Path:
    where = Path(shutil.copytree(plain, plain.parent / "awkward"))
    for change in AWKWARD:
        change(Lake(where))
    return where


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """AppTest leaves the script that it ran as `__main__`."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    def opened(page: str, lake: Path, **asked: str) -> AppTest:
        monkeypatch.setenv("HEADROOM_LAKE", str(lake))
        st.cache_resource.clear()
        test = AppTest.from_file(MAIN, default_timeout=120)
        test.query_params.update(asked)
        test._page_hash = calc_hash(page)
        test.run()
        assert not test.exception
        return test

    return opened


@pytest.fixture
def multiples(monkeypatch: pytest.MonkeyPatch) -> list[Site]:
    """The sites whose small charts Region drew last."""
    drawn: list[Site] = []

    def recorded(sites: list[Site], **look: Any) -> list[Panel]:
        drawn[:] = sites
        return site_panels(sites, **look)

    monkeypatch.setattr(traffic, "site_panels", recorded)
    return drawn


def command(lake: Path) -> pd.DataFrame:
    """The plan that the command writes, and keeps under the name Same."""
    out = lake.parent / f"{lake.name}.parquet"
    assert forecasting_command(["plan", "--lake", str(lake), "--out", str(out), "--save", "Same", "--author", "a"]) == 0
    return pd.read_parquet(out)


def saved(lake: Path) -> pd.DataFrame:
    store = open_store(store_url(Lake(lake).url))
    plans = Plans(store)
    rows = plans.get(plans.listed(Lake(lake).url)[0].id).rows
    store.close()
    return rows


def first_day(pin: Pin) -> pd.Timestamp:
    """The day of the end of the telemetry."""
    extent = queries.extent(pin, Scope())
    assert extent is not None
    return extent.now.floor("D")


def cards_of(overview: AppTest) -> list[str]:
    """The sites that the Overview has a card of."""
    return [str(button.key).removeprefix("open-") for button in overview.button if str(button.key).startswith("open-")]


def assert_same(lake: Path, open_page: Callable[..., AppTest], multiples: list[Site]) -> pd.DataFrame:
    """Compare the places; returns the command's rows."""
    told = command(lake)
    keys = ["level", "key", "direction"]

    pin = Lake(lake).pin()
    network = planning.network_plan(pin, Scope())
    assert network is not None
    pd.testing.assert_frame_equal(network.rows, told, check_dtype=False, rtol=0.0, atol=1e-9)

    kept = saved(lake).set_index(keys).sort_index()
    mine = told.set_index(keys).sort_index()
    assert kept.index.equals(mine.index)
    for name in ("answer", *DATES, "order_by"):
        pd.testing.assert_series_equal(kept[name], mine[name], check_dtype=False)

    for direction, rows in told.groupby("direction", sort=False):
        table = planning.run_out_table(pin, Scope(), PlanQuery(direction, "peak", UTILISATION_LIMIT, True))
        if table is None:
            assert (rows["answer"] == "refused").all()
            continue
        pd.testing.assert_frame_equal(
            table[PLAN_COLUMNS], rows.reset_index(drop=True), check_dtype=False, rtol=0.0, atol=1e-9
        )
        sites = rows[rows["level"] == "site"].set_index("key")
        page = open_page("capacity", lake, direction=str(direction))
        shown = page.dataframe[0].value.set_index("key")
        assert shown.index.tolist() == sites.index.tolist()
        assert [WORDS[word] for word in shown["Health"]] == sites["state"].tolist()
        assert [word.partition(" ")[2] for word in shown["Order"]] == [GRADES[grade][1] for grade in sites["grade"]]
        for name, column in (("Peak", "peak_gbps"), ("Limit", "limit_gbps"), ("Add", "add_gbps")):
            known = sites[column].where(sites[column] > 0.0)
            pd.testing.assert_series_equal(shown[name].replace(0.0, np.nan), known.round(1), check_names=False)

    first = told[told["level"] == "site"].drop_duplicates("key").set_index("key")
    overview = open_page("overview", lake)
    listed = next(frame.value for frame in overview.dataframe if "Site" in frame.value).set_index("site_id")
    common = [site for site in listed.index if site in first.index]
    assert common == first.index.tolist()
    assert [WORDS[word] for word in listed.loc[common, "Health"]] == first["state"].tolist()
    tiles = {metric.label: metric.value for metric in overview.metric}
    assert tiles["Over the limit"] == str(first["over_share"].notna().sum())
    due = first["grade"].isin(("over", "late", "due"))
    is_known = (first["answer"] != "refused").any()
    assert tiles["Order within 30 d"] == (str(due.sum()) if is_known else "unknown")
    cards = cards_of(overview)
    is_urgent = ~listed["Health"].str.endswith(("ok", "unknown"))
    assert cards == listed.index[is_urgent].tolist()[: len(cards)]

    open_page("region", lake)
    drawn = {parse_qs(urlsplit(site.href).query)["site"][0]: site.state for site in multiples}
    assert list(drawn) == listed.index.tolist()
    assert [drawn[site] for site in common] == [STATES[state] for state in first["state"]]
    return told.set_index(["level", "key"])


def test_page_overview_command_and_saved_plan_agree(
    plain: Path, open_page: Callable[..., AppTest], multiples: list[Site]
) -> None:
    rows = assert_same(plain, open_page, multiples)
    assert rows.loc[("site", "fra-01"), "state"] == "act"


def test_they_agree_where_lead_times_telemetry_sites_and_augments_are_awkward(
    awkward: Path, open_page: Callable[..., AppTest], multiples: list[Site], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = assert_same(awkward, open_page, multiples)
    assert rows.loc[("site", "fra-01"), "state"] == "act"
    assert rows.loc[("site", "fra-01"), "lead_days"] == 90.0
    assert rows.loc[("region", "eu-west"), "lead_days"] == rows.loc[("global", "all"), "lead_days"] == 90.0
    assert rows.loc[("region", "eu-west"), "answer"] != "refused"
    assert rows.loc[("region", "eu-west"), "reason"] == (
        "without new-01 (capacity is declared, but no traffic was ever measured), 0 % of the region"
    )
    assert rows.loc[("site", "new-01"), "state"] == "unknown"
    run_out = rows.loc[("site", "iad-01"), "run_out_p50"]
    assert CLOSED - pd.Timedelta(weeks=1) <= run_out <= CLOSED + pd.Timedelta(weeks=1)
    assert "late: fra-01 egress, 5000 Gbps planned for 2026-05-06" in capsys.readouterr().out
    page = open_page("capacity", awkward)
    assert any("Planned augments that are late" in warning.value for warning in page.warning)
    # A region of one site is that site.
    for name in ("state", "answer", "order", "order_by", *DATES, "probability", "lead_days"):
        region, site = rows.loc[("region", "sa"), name], rows.loc[("site", "gru-01"), name]
        assert region == site or (pd.isna(region) and pd.isna(site)), name


@pytest.mark.real
@pytest.mark.slow
def test_they_agree_on_abilene(
    tmp_path: Path,
    datasets: Path,
    shared_lake: SharedLake,
    open_page: Callable[..., AppTest],
    multiples: list[Site],
) -> None:
    """A fortnight is too short to plan from: every place refuses, with the same states and reasons."""
    lake = Path(shutil.copytree(real_lake(NETWORKS[0], datasets, shared_lake), tmp_path / "abilene"))
    rows = command(lake)
    assert set(rows["answer"]) == {"refused"}
    reasons = planning.refusal_reasons(Lake(lake).pin(), Scope(), "egress")
    sites = rows[(rows["level"] == "site") & (rows["direction"] == "egress")]
    assert reasons == dict(zip(sites["key"], sites["reason"], strict=True))
    told = assert_same(lake, open_page, multiples)
    assert set(told["state"]) == {"unknown"}
    overview = open_page("overview", lake)
    assert cards_of(overview) == [], "one card says it of all sites"
    assert any(f"{len(sites)} sites cannot be planned yet" in line.value for line in overview.markdown)

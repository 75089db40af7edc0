"""Some series renewed: whichever they are, the run has every key once, its levels add up, and its futures can be
planned from.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.lake.rollups import refresh_rollups
from data.lake.tables import Lake
from data.queries import forecast, futures, latest_run
from data.schema import QUANTILES, TABLES, Series
from data.schema.errors import LakeError, SettingError
from forecasting.models.engine import IDENTITY, EngineResult, Plan
from forecasting.models.pool import PANEL, baselines, pool
from forecasting.panel.panel import Panel
from forecasting.refresh import Summary, refresh
from forecasting.refresh.publishing import RESULT_TABLES
from tests.forecasting.networks import NOW, REGIONS, Here, Steady, lake_of, telemetry

FRA = Series("site", "fra-01", "egress_gbps")
# Four whole weeks of hours: the fewest that peaks are drawn from.
DAYS = 33
HOUR = pd.Timedelta(hours=1)
AHEAD = pd.Timedelta(days=8)
LATER = NOW + AHEAD


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """The licensed engine with a handful of its models, days ahead: how they are judged and added up is the same, and
    takes seconds.
    """
    kept = {PANEL, *baselines((24, 168))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "forecasting.evaluation.backtest_batch.pool",
            lambda seasons: {name: model for name, model in pool(seasons).items() if name in kept},
        )
        patch.setattr("forecasting.refresh.run.Plan", partial(Plan, horizon=AHEAD))
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of three sites with one run of all series; to read."""
    lake = lake_of(tmp_path_factory.mktemp("renewal") / "lake", DAYS, step="1h")
    refresh(lake, executor=Here())
    return lake


@pytest.fixture(scope="module")
def tripled(whole: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The same after Frankfurt turned out to carry three times as much, and was renewed alone; to read."""
    lake = Lake(shutil.copytree(whole.url, tmp_path_factory.mktemp("tripled") / "lake"))
    measured_anew(lake, factor=3.0)
    renew(lake, str(FRA))
    return lake


@pytest.fixture
def served(whole: Lake, tmp_path: Path) -> Lake:
    """The lake with one run, to write to."""
    return Lake(shutil.copytree(whole.url, tmp_path / "lake"))


def renew(lake: Lake, *names: str, engine: Any = "panel") -> Summary:
    """A refresh of some series, in this process."""
    return refresh(lake, engine=engine, executor=Here(), only=names)


def published(lake: Lake, name: str) -> pd.DataFrame:
    """The rows of the newest run, in the order of their keys."""
    run = latest_run(lake.pin())
    assert run is not None
    rows = lake.read(name).to_pandas()
    return (
        rows[rows["run_id"] == run.run_id]
        .drop(columns="run_id")
        .sort_values(list(TABLES[name].key[1:]), ignore_index=True)
    )


def points(lake: Lake, metric: str = "egress_gbps") -> pd.DataFrame:
    """What is expected, (hours, keys)."""
    rows = published(lake, "forecasts")
    return rows[rows["metric"] == metric].pivot_table(index="ts", columns="key", values="yhat")


def draws(lake: Lake, metric: str = "egress_gbps") -> dict[str, Any]:
    """The futures of each place, (weeks, draws)."""
    every = [futures(lake.pin(), level, metric, "p95") for level in ("site", "region", "global")]
    return {key: one.draws[place] for one in every if one is not None for place, key in enumerate(one.keys)}


def measured_anew(lake: Lake, days: float = 0.0, factor: float = 1.0) -> None:
    """Telemetry that goes on for some days, and that is larger by a factor at Frankfurt in the last three weeks."""
    rows = telemetry(
        pd.date_range(
            NOW - pd.Timedelta(days=DAYS), NOW + pd.Timedelta(days=days), freq="1h", inclusive="left", unit="us"
        )
    )
    larger = (rows["site_id"] == "fra-01") & (rows["ts"] >= NOW - pd.Timedelta(days=21))
    rows.loc[larger, ["ingest_gbps", "egress_gbps"]] *= factor
    lake.replace("telemetry", pa.Table.from_pandas(rows, preserve_index=False))
    refresh_rollups(lake)


def is_whole(lake: Lake) -> None:
    """Every key once, one fit for each of the nine series, levels that add up, and futures of every place in the same
    weeks.
    """
    for name in RESULT_TABLES:
        assert not published(lake, name).duplicated(list(TABLES[name].key[1:])).any(), name
    assert published(lake, "fits")["status"].tolist() == ["fitted"] * 9
    egress, ingest = points(lake), points(lake, "ingest_gbps")
    alike = egress[["eu", "all"]].dropna().index
    assert len(alike) > 5 * 24
    assert egress.loc[alike, "eu"].to_numpy() == pytest.approx(
        egress.loc[alike, ["fra-01", "ams-01"]].sum(axis=1).to_numpy()
    )
    assert egress.loc[alike, "all"].to_numpy() == pytest.approx(egress.loc[alike, list(REGIONS)].sum(axis=1).to_numpy())
    assert ingest["all"].dropna().to_numpy() == pytest.approx(ingest["fra-01"][ingest["all"].notna()].to_numpy())
    assert {key: one.shape for key, one in draws(lake).items()} == dict.fromkeys(
        [*REGIONS, "eu", "asia", "all"], (78, 200)
    )


def test_whichever_parts_are_renewed_the_run_is_as_if_all_were(served: Lake) -> None:
    before = {name: published(served, name) for name in RESULT_TABLES}
    share = served.read("runs").to_pandas()["licensed_share"].iloc[0]
    for names in (
        ["global/*/egress_gbps", "site/fra-01/egress_gbps"],
        ["region/*", "*/ingest_gbps"],
        ["site/nrt-01/egress_gbps"],
    ):
        renew(served, *names)
        is_whole(served)
    for name in RESULT_TABLES:
        now = published(served, name)
        assert now[IDENTITY].equals(before[name][IDENTITY]), name
        numbers = [column for column in now.select_dtypes("number") if column != "seconds"]
        assert now[numbers].to_numpy(float) == pytest.approx(
            before[name][numbers].to_numpy(float), rel=1e-6, nan_ok=True
        ), name
    assert served.read("runs").to_pandas()["licensed_share"].tolist() == [share] * 4


def test_regions_and_the_network_follow_a_site_that_is_renewed_and_the_others_stay(whole: Lake, tripled: Lake) -> None:
    is_whole(tripled)
    before, after = points(whole), points(tripled)
    assert after["fra-01"].mean() > 1.5 * before["fra-01"].mean()
    for key in ("ams-01", "nrt-01"):
        assert after[key].equals(before[key])
    assert after["asia"].to_numpy() == pytest.approx(before["asia"].to_numpy())
    network = "key == 'all' and metric == 'egress_gbps'"
    moved = (
        published(tripled, "forecasts").query(network)[list(QUANTILES)]
        - published(whole, "forecasts").query(network)[list(QUANTILES)]
    )
    assert moved.to_numpy() == pytest.approx(
        (after["all"] - before["all"]).to_numpy()[:, None].repeat(len(QUANTILES), axis=1)
    )


def test_all_places_are_in_the_same_futures_and_those_of_other_metrics_stay(whole: Lake, tripled: Lake) -> None:
    before, after = draws(whole), draws(tripled)
    assert after["fra-01"].mean() > 1.5 * before["fra-01"].mean()
    assert after["all"].mean() > 1.1 * before["all"].mean()
    assert after["eu"].mean() == pytest.approx((after["fra-01"] + after["ams-01"]).mean(), rel=0.1)
    assert np.corrcoef((after["fra-01"] + after["ams-01"]).ravel(), after["eu"].ravel())[0, 1] > 0.9
    assert np.array_equal(draws(tripled, "ingest_gbps")["fra-01"], draws(whole, "ingest_gbps")["fra-01"])


def test_a_network_that_is_renewed_alone_adds_up_with_sites_that_are_carried_over(whole: Lake, served: Lake) -> None:
    measured_anew(served, factor=3.0)
    renew(served, "global/all/egress_gbps")
    is_whole(served)
    assert points(served).to_numpy() == pytest.approx(points(whole).to_numpy())


def test_where_telemetry_went_on_a_group_keeps_the_hours_that_all_of_its_sites_have(served: Lake) -> None:
    measured_anew(served, days=2.0)
    renew(served, str(FRA))
    is_whole(served)
    found = points(served)
    held = {key: (found[key].first_valid_index(), found[key].last_valid_index()) for key in found}
    end, later = NOW + AHEAD - HOUR, pd.Timedelta(days=2)
    assert held["nrt-01"] == held["asia"] == (NOW, end)
    assert held["fra-01"] == (NOW + later, end + later)
    assert held["eu"] == held["all"] == (NOW + later, end)


def test_a_first_run_of_some_series_has_the_weeks_of_all_places_of_their_metric(tmp_path: Path) -> None:
    lake = lake_of(tmp_path / "lake", DAYS, step="1h")
    assert len(renew(lake, "global/*/egress_gbps").fits) == 1
    assert set(points(lake).columns) == {"all"}
    assert set(draws(lake)) == {*REGIONS, "eu", "asia", "all"}
    assert draws(lake, "ingest_gbps") == {}


def test_a_part_of_another_engines_run_is_refused(served: Lake) -> None:
    with pytest.raises(
        SettingError,
        match=r"Run 1 is of the engine panel, and a part of it cannot be renewed by steady.*every series with `--engine steady`",
    ):
        renew(served, str(FRA), engine=Steady())
    note = served.read_note("refresh")
    assert note is not None
    assert note["state"] == "refused"


def test_prophet_renews_what_is_named_and_keeps_the_rest(lake: Lake) -> None:
    refresh(lake, engine="prophet", executor=Here(), only=["site/*/ingest_gbps", "global/all/ingest_gbps"])
    network = forecast(lake.pin(), Series("global", "all", "ingest_gbps"), NOW, LATER)
    summary = renew(lake, "site/fra-01/ingest_gbps", engine="prophet")
    assert summary.count("fitted") == 2
    assert forecast(lake.pin(), Series("global", "all", "ingest_gbps"), NOW, LATER).equals(network)
    assert len(forecast(lake.pin(), Series("site", "fra-01", "ingest_gbps"), NOW, LATER)) == 8 * 24
    assert published(lake, "bands").duplicated(list(TABLES["bands"].key[1:])).sum() == 0


class Twice(Steady):
    """Gives its first series once more, at the end or in the same part."""

    def __init__(self, *, at_once: bool) -> None:
        super().__init__()
        self._at_once = at_once

    def forecast(self, panel: Panel, plan: Plan, executor: Executor) -> Iterator[EngineResult]:
        parts = list(super().forecast(panel, plan, executor))
        if self._at_once:
            parts[0] = parts[0]._replace(forecasts=pd.concat([parts[0].forecasts, parts[0].forecasts.tail(1)]))
        yield from parts if self._at_once else [*parts, parts[0]]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_run_that_would_hold_a_key_twice_is_not_published(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    monkeypatch.setattr("forecasting.refresh.publishing.BATCH", 1)
    first = refresh(lake, engine=Steady(), executor=Here())
    with pytest.raises(
        LakeError,
        match=r"The table forecasts would hold rows of global/all/egress_gbps twice in one run; nothing was published.*without --series",
    ):
        refresh(lake, engine=Twice(at_once=at_once), executor=Here())
    last = latest_run(lake.pin())
    assert last is not None
    assert last.run_id == first.run_id

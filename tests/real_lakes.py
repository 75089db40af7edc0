"""Lakes of networks that nobody made up: two public data sets, taken in by their recipes, with a run of forecasts."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

import data.__main__
import forecasting.__main__
from tests.conftest import SharedLake

# What is taken in where some sites alone are: enough for every model and a whole week to check it by.
LAST = pd.Timedelta(days=24)


class Network(NamedTuple):
    """A data set: its folder and recipe, the site that is looked at, the year that it ends in, what its Overview and
    Capacity pages must say, and the sites that are taken in (none: all).
    """

    name: str
    site: str
    year: str
    says: str
    plan: str
    sites: tuple[str, ...] = ()


NETWORKS = (
    Network("abilene", "NYCMng", "2004", "12 sites cannot be planned yet", "too little history to plan from"),
    Network(
        "p2p_live",
        "FR",
        "2020",
        "No capacity is declared for any site",
        "No capacity is declared for these sites",
        ("FR", "other"),
    ),
)


def real_lake(network: Network, datasets: Path, shared_lake: SharedLake) -> Path:
    """The data set as a lake, by the documented commands, with a run of forecasts."""

    def build(where: Path) -> None:
        lake = ["--lake", str(where)]
        source = datasets / network.name
        if network.sites:
            source = where.parent / network.name
            _copy(datasets / network.name, source, network.sites)
        assert data.__main__.main(["ingest", str(source), "--recipe", network.name, *lake]) == 0
        assert forecasting.__main__.main(["refresh", "--quiet", "--workers", "1", *lake]) == 0

    return shared_lake(network.name, build)


def _copy(source: Path, target: Path, sites: tuple[str, ...]) -> None:
    """The last weeks of some sites of the data set: a refresh of all takes half a minute, most of it backtests."""
    target.mkdir(parents=True)
    for path in source.glob("*.parquet"):
        rows = pd.read_parquet(path)
        rows = rows[rows["region"].isin(sites)]
        if "ts" in rows:
            rows = rows[rows["ts"] >= rows["ts"].max() - LAST]
        rows.to_parquet(target / path.name)

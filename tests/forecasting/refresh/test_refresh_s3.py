"""A refresh of a lake in an object store."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from data.lake.query import EVERYTHING
from data.lake.tables import Lake
from data.queries import forecast, runs
from data.schema import Series
from forecasting.refresh import refresh
from tests.forecasting.networks import NOW, Here, Steady
from tests.s3_server import S3Server


def test_a_lake_in_an_object_store_is_refreshed_like_one_in_a_folder(
    s3: str, s3_server: S3Server, pristine: Path, tmp_path: Path
) -> None:
    lake = Lake(s3_server.upload(pristine, f"{tmp_path.name}/lake"))
    for number in (1, 2):
        assert refresh(lake, engine=Steady(), executor=Here()).number == number
    assert len(runs(lake.pin(), EVERYTHING)) == 2
    assert (
        len(forecast(lake.pin(), EVERYTHING, Series("global", "all", "egress_gbps"), NOW, NOW + pd.Timedelta(days=91)))
        == 90 * 24
    )
    note = lake.read_note("refresh")
    assert note is not None
    assert note["state"] == "done"

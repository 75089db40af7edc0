"""A refresh of a lake in an object store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pandas as pd

from data.lake.tables import Lake
from data.queries import forecast, runs
from data.schema import Series
from forecasting.refresh import refresh
from tests.data.test_lake import s3 as s3  # noqa: PLC0414 - a fixture, shared
from tests.forecasting.networks import NOW, Here, Steady


def uploaded(folder: Path, url: str) -> Lake:
    """A copy of a lake in a bucket."""
    bucket = boto3.resource("s3").Bucket(urlsplit(url).netloc)
    for path in folder.rglob("*"):
        if path.is_file():
            bucket.upload_file(str(path), f"lake/{path.relative_to(folder)}")
    return Lake(f"{url}/lake")


def test_a_lake_in_an_object_store_is_refreshed_like_one_in_a_folder(s3: str, pristine: Path) -> None:
    lake = uploaded(pristine, s3)
    for number in (1, 2):
        assert refresh(lake, engine=Steady(), executor=Here()).number == number
    assert len(runs(lake.pin())) == 2
    assert (
        len(forecast(lake.pin(), Series("global", "all", "egress_gbps"), NOW, NOW + pd.Timedelta(days=91))) == 90 * 24
    )
    note = lake.read_note("refresh")
    assert note is not None
    assert note["state"] == "done"

"""What each site usually carries, against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data import queries
from data.lake.query import EVERYTHING
from data.lake.tables import Lake


def test_usual_is_the_median_of_the_last_four_weeks_of_days(judged: Lake) -> None:
    found = queries.usual(judged.pin(), EVERYTHING, "egress_gbps").set_index("site_id")
    days = judged.read("telemetry_1d").to_pandas().query("level == 'site'").sort_values("ts")
    medians = days.groupby("key")["egress_gbps_mean"].apply(lambda values: values.tail(28).median())
    np.testing.assert_allclose(found["usual"], medians.reindex(found.index))
    assert list(found.columns) == ["region_id", "timezone", "usual"]


def test_a_metric_that_nobody_measures_is_null_for_every_site(judged: Lake) -> None:
    found = queries.usual(judged.pin(), EVERYTHING, "viewers")
    assert found["usual"].isna().all()
    assert len(found) == len(pd.unique(found["site_id"])) == 6

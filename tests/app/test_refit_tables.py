"""What one takes away from a refit: all that is drawn and more, and never without saying that nobody published it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from app.cached.refits import Refit, RefitOptions
from app.views.models.components import curves, effect_table, trends

FIRST = pd.Timestamp("2026-03-02", tz="UTC")
HOURS = pd.date_range(FIRST, periods=96, freq="h", unit="us")
NOW = HOURS[48]
PAST = pd.DataFrame({"ts": HOURS[:48], "value": 100.0})
AHEAD = pd.DataFrame(
    {"ts": HOURS[48:], "yhat": 120.0, "q025": 90.0, "q10": 100.0, "q25": 110.0, "q90": 140.0, "q975": 150.0}
)
WISH = RefitOptions(days=28, prior=0.1, without="cup-1")


def made(level: float) -> Refit:
    day, week = (pd.DataFrame({"hour": range(n), "effect": 0.1}) for n in (24, 168))
    events = pd.DataFrame({"kind": ["cup"], "effect": [0.5], "hours": [9.0]})
    return Refit(
        pd.DataFrame({"ts": HOURS, "yhat": level}),
        pd.DataFrame({"ts": HOURS[::24], "value": level}),
        day,
        week,
        events,
        "UTC",
        48,
    )


def test_the_curves_stand_beside_what_was_measured_and_what_is_published() -> None:
    table = curves("egress_gbps", PAST, AHEAD, made(110.0), made(105.0), WISH).set_index("ts")
    assert len(table) == 96
    assert table["egress_gbps"].notna().sum() == table["egress_gbps_published"].notna().sum() == 48
    assert table.loc[NOW, "egress_gbps_published_q975"] == 150.0
    assert (table["egress_gbps_refit_unpublished"] == 110.0).all()
    assert (table["egress_gbps_usual_refit_unpublished"] == 105.0).all()
    assert "egress_gbps_usual_refit_unpublished" not in curves(
        "egress_gbps", PAST, AHEAD, made(110.0), None, RefitOptions()
    )


def test_the_trend_comes_with_the_daily_means_that_are_drawn() -> None:
    days = pd.DataFrame({"ts": HOURS[:48:24] + pd.Timedelta(hours=6), "value": [98.0, 102.0]})
    table = trends("egress_gbps", days, made(110.0), WISH)
    assert table["egress_gbps_daily_mean"].dropna().tolist() == [98.0, 102.0]
    assert table["egress_gbps_trend_unpublished"].notna().sum() == 4
    assert table["ts"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("wish", "said"),
    [(WISH, ["unpublished", "28", 0.1, "cup-1"]), (RefitOptions(None), ["unpublished", "all", 0.05, ""])],
)
def test_every_table_says_by_which_settings_it_was_made(wish: RefitOptions, said: list[object]) -> None:
    refit = made(110.0)
    for table in (
        curves("viewers", PAST, AHEAD, refit, None, wish),
        trends("viewers", PAST.head(2), refit, wish),
        effect_table(refit, wish),
    ):
        assert table[
            ["refit", "window_days", "changepoint_prior", "events_otherwise"]
        ].drop_duplicates().to_numpy().tolist() == [said]


def test_the_parts_are_told_apart() -> None:
    assert effect_table(made(110.0), WISH)["part"].value_counts().to_dict() == {"week": 168, "day": 24, "event": 1}
    assert np.isclose(effect_table(made(110.0), WISH)["effect"].iloc[-1], 0.5)

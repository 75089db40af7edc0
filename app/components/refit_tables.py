"""The numbers behind a refit, to take away: each table says that nothing of it is published, and by which settings it
was made.
"""

from __future__ import annotations

import pandas as pd

from app.cached.refits import Refit, RefitOptions
from app.state import ALL

# Columns of the forecast that stand beside a refit, by what they are called after the metric's name.
PUBLISHED = {"yhat": "published", **{level: f"published_{level}" for level in ("q025", "q10", "q90", "q975")}}


def marked(table: pd.DataFrame, wish: RefitOptions) -> pd.DataFrame:
    """With columns that say what was asked for: `events` is empty where all are as marked, "all" where none is known,
    or the event that is taken otherwise.
    """
    days = ALL if wish.days is None else str(wish.days)
    return table.assign(
        refit="unpublished", window_days=days, changepoint_prior=wish.prior, events_otherwise=wish.without
    )


def curves(
    metric: str, past: pd.DataFrame, published: pd.DataFrame, made: Refit, usual: Refit | None, wish: RefitOptions
) -> pd.DataFrame:
    """A row an hour: what was measured (`past`: ts, value), what the run published, the refit, and that with the usual
    settings; null where none is.
    """
    parts = [
        past.rename(columns={"value": metric}),
        published[["ts", *PUBLISHED]].rename(
            columns={column: f"{metric}_{part}" for column, part in PUBLISHED.items()}
        ),
        made.curve.rename(columns={"yhat": f"{metric}_refit_unpublished"}),
    ]
    parts += [] if usual is None else [usual.curve.rename(columns={"yhat": f"{metric}_usual_refit_unpublished"})]
    return marked(_together(parts), wish)


def trends(metric: str, days: pd.DataFrame, made: Refit, wish: RefitOptions) -> pd.DataFrame:
    """The daily means that were measured (`days`: ts, value; UTC days), and the trend at its own stamps."""
    named = (
        days.rename(columns={"value": f"{metric}_daily_mean"}),
        made.trend.rename(columns={"value": f"{metric}_trend_unpublished"}),
    )
    return marked(_together([*named]), wish)


def effects(made: Refit, wish: RefitOptions) -> pd.DataFrame:
    """part, of (hour or kind of event), effect: everything that the charts of the parts show."""
    parts = [
        made.day.assign(part="day").rename(columns={"hour": "of"}),
        made.week.assign(part="week").rename(columns={"hour": "of"}),
        made.events.assign(part="event").rename(columns={"kind": "of"}),
    ]
    rows = pd.concat(
        [part[["part", "of", "effect"]].astype({"of": "object"}) for part in parts if len(part)], ignore_index=True
    )
    return marked(rows, wish)


def _together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([part.set_index("ts") for part in parts], axis=1, sort=True).reset_index(names="ts")

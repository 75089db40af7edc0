"""The words of the contract: metrics, columns, tables, series and the limits that every value keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from haversine import Unit, haversine_vector

STAMP = pa.timestamp("us", tz="UTC")
TEXT, REAL, WHOLE, DAY, FLAG = pa.string(), pa.float64(), pa.int64(), pa.date32(), pa.bool_()
# Single precision: a draw is no sharper than its seventh digit, and there are millions.
DRAWS = pa.list_(pa.float32())

# An identifier becomes a file name, a URL parameter and a cache key, so it stays plain.
ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
# The usual planning target of network operators: worry at 70 to 80 % of the busy hour; the rest is kept for failures and
# surges. A site whose weekly peak passes this share of its capacity has run out.
UTILISATION_LIMIT = 0.8
# Quality as players are commonly graded, per metric: good below the first (above it an incident is open), bad above the
# second. Half a percent of rebuffering is good, the industry's mean is 0.78 %; viewers leave after four seconds.
QUALITY_LIMITS: dict[str, tuple[float, float]] = {
    "rebuffer_ratio": (0.005, 0.01),
    "startup_seconds": (2.0, 4.0),
    "playback_failure_ratio": (0.005, 0.01),
}
# An hour of which less than this share was measured is missing: to models, and to what they are judged by.
MIN_HOUR_COMPLETENESS = 0.5
# A series with holes for half of its life tells more about its holes: it is refused.
MIN_SERIES_COMPLETENESS = 0.5
# Share of the expected sites of a sum that must report for a stamp to count: one silent site in ten still leaves a
# usable sum. (Of the samples of one series an hour needs half, MIN_HOUR_COMPLETENESS: another question.)
MIN_REPORTING_SHARE = 0.9
# A week with more holes than a tenth may have had its peak in one of them: it has no peak and no P95.
MIN_WEEK_COMPLETENESS = 0.9
# Measured weeks that a series needs for a forecast of its weekly peaks: two show how weeks differ, a third is forecast
# from them, to check.
MIN_PEAK_WEEKS = 3
# Longest display text; a longer one is a fault in the producer, not a name.
TEXT_LIMIT = 200
# One petabit a second: two orders above the largest public backbone, so a larger value is a unit error (bit/s for
# Gbps).
GBPS_LIMIT = 1_000_000.0
# More viewers than people on Earth is a counter overflow.
COUNT_LIMIT = 10_000_000_000.0
# A startup that takes a day is a clock fault.
SECONDS_LIMIT = 86_400.0

Level = Literal["site", "region", "global"]
# How a site stands: what is measured of it says so (data.queries.site_health), and once it is planned for its plan does
# (forecasting.planning.site_state).
SiteState = Literal["act", "watch", "ok", "unknown"]
LEVELS: tuple[Level, ...] = ("site", "region", "global")
GLOBAL_KEY = "all"
Direction = Literal["ingest", "egress"]
# The engine that draws joint futures of coming weeks, as `runs` names it.
LICENSED_ENGINE = "panel"

# The quantiles that a run publishes, by column: bounds of the 95, 80 and 50 % intervals and the median.
QUANTILES: dict[str, float] = {
    "q025": 0.025,
    "q10": 0.1,
    "q25": 0.25,
    "q50": 0.5,
    "q75": 0.75,
    "q90": 0.9,
    "q975": 0.975,
}
# How far ahead, in hours, each horizon band of a backtest begins and ends.
HORIZONS: dict[str, tuple[int, int]] = {
    "0-24 h": (0, 24),
    "1-7 d": (24, 168),
    "8-28 d": (168, 672),
    "29-90 d": (672, 2160),
}
PEAK_QUANTILES: dict[str, float] = {"q05": 0.05, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q95": 0.95}


class Series(NamedTuple):
    """One forecastable series: ('site', 'fra-01', 'egress_gbps'), ('region', 'eu-west', ...), ('global', 'all',
    ...).
    """

    level: Level
    key: str
    metric: str

    def __str__(self) -> str:
        return f"{self.level}/{self.key}/{self.metric}"


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured quantity of telemetry.

    `aggregate` says how sites add up to a region: "sum", or "viewer_mean" (a mean weighted by viewers) for ratios.
    """

    name: str
    label: str
    unit: str
    aggregate: Literal["sum", "viewer_mean"]
    high: float
    meaning: str
    required: bool = False


METRICS: tuple[Metric, ...] = (
    Metric(
        "ingest_gbps", "Ingest", "Gbps", "sum", GBPS_LIMIT, "Broadcaster-to-network traffic, mean of the interval", True
    ),
    Metric("egress_gbps", "Egress", "Gbps", "sum", GBPS_LIMIT, "Network-to-viewer traffic, mean of the interval", True),
    Metric("streams", "Streams", "streams", "sum", COUNT_LIMIT, "Live channels taken in, mean of the interval"),
    Metric("viewers", "Viewers", "viewers", "sum", COUNT_LIMIT, "Concurrent views served, mean of the interval"),
    Metric(
        "rebuffer_ratio", "Rebuffering", "ratio", "viewer_mean", 1.0, "Time stalled over time that playing was wanted"
    ),
    Metric(
        "startup_seconds",
        "Startup time",
        "s",
        "viewer_mean",
        SECONDS_LIMIT,
        "Time from the request to the first frame, mean",
    ),
    Metric(
        "playback_failure_ratio",
        "Playback failures",
        "ratio",
        "viewer_mean",
        1.0,
        "Plays that failed over plays asked for",
    ),
    Metric(
        "ingest_starved_ratio",
        "Ingest starvation",
        "ratio",
        "viewer_mean",
        1.0,
        "Streams that delivered fewer bits than announced, over all",
    ),
    Metric("transcode_used_ratio", "Transcode use", "ratio", "viewer_mean", 1.0, "Transcode capacity in use"),
)
METRIC: dict[str, Metric] = {metric.name: metric for metric in METRICS}
DEMAND_METRICS: tuple[str, ...] = ("egress_gbps", "ingest_gbps", "viewers")
DIRECTION_OF: dict[str, Direction] = {"egress_gbps": "egress", "ingest_gbps": "ingest"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its type, unit, meaning, and the values it may take.

    A `required` column must be in a snapshot, and holds no null unless it is `nullable`; `pattern` is a regular
    expression for the whole text; `filled` says what ingest writes where a snapshot lacks the column.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    required: bool = True
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    filled: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the lake: its columns, the key that makes a row unique, who writes it, and how it lies on disk."""

    name: str
    meaning: str
    owner: Literal["ingest", "rollup", "refresh", "simulator"]
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition: str = (
        ""  # a column that the lake derives from ts ("date", "month"), or one of the table's own ("run_id")
    )
    optional: bool = False

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the table's own columns, without a partition that the lake derives."""
        return pa.schema([pa.field(c.name, c.type, nullable=not c.required or c.nullable) for c in self.columns])

    def column(self, name: str) -> Column | None:
        return next((c for c in self.columns if c.name == name), None)


def identifier(name: str, meaning: str) -> Column:
    """A column of identifiers."""
    return Column(name, TEXT, meaning, pattern=ID_PATTERN)


def stamp(name: str, meaning: str, *, required: bool = True, filled: str = "") -> Column:
    """A column of stamps."""
    return Column(name, STAMP, meaning, "UTC", required, filled=filled)


Moment = TypeVar("Moment", bound=datetime)


def week_start(moment: Moment) -> Moment:
    """Monday 00:00 of the week that holds a moment, in its own zone (stamps of the lake are UTC)."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=moment.weekday())


EARTH_KM = 6371.0


def distances_km(lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Great-circle distances in km between all pairs of places, (places, places); lat and lon in degrees, (places,)."""
    places: Any = np.column_stack([np.asarray(lat, dtype=float), np.asarray(lon, dtype=float)])
    # Longitudes beyond 180 degrees, as some catalogues write them, are the same places.
    return np.asarray(EARTH_KM * haversine_vector(places, places, Unit.RADIANS, comb=True, normalize=True))


# Models by the names that tables, options and the code have for them, in words for pages and sentences: short enough
# for the axis of a chart.
MODEL_WORDS: dict[str, str] = {
    "prophet": "Prophet",
    "prophet_map": "Prophet",
    "prophet_flat_trend": "Prophet, flat trend",
    "prophet_damped_trend": "Prophet, damped trend",
    "prophet_flat_trend_residuals": "Prophet, flat, corrected",
    "prophet_log_flat_trend": "log Prophet, flat trend",
    "prophet_log_flat_trend_residuals": "log Prophet, corrected",
    "prophet_log_sharp_residuals": "log Prophet, sharp day",
    "prophet_yearly": "Prophet, with a year",
    "prophet_log_yearly": "log Prophet, with a year",
    "last_year_at_level": "last year at today's level",
    "double_seasonal_smoothing_slow": "smoothing, slow week",
    "double_seasonal_smoothing_quick": "smoothing, quick week",
    "double_seasonal_smoothing_log_slow": "log smoothing, slow week",
    "double_seasonal_smoothing_log_quick": "log smoothing, quick week",
    "boosted_trees_weekly": "boosted trees, weekly",
    "boosted_trees_daily": "boosted trees, daily",
    "recursive_trees": "boosted trees, recursive",
    "naive": "last value",
    "seasonal_naive_24": "same hour yesterday",
    "seasonal_naive_168": "same hour last week",
    "seasonal_median": "median of four weeks",
    "level_adjusted_median": "median at today's level",
    "rescaled_seasonal_median": "median scaled to today",
    "daily_median": "median of seven days",
    "exponentially_weighted_mean": "weighted mean of six weeks",
    "median_of_five": "median of five models",
    "median_of_three": "median of three models",
    "mean_of_three": "mean of three models",
    "blend": "weighted blend of models",
    "mixture": "blend and baseline, mixed",
    "sum of sites": "sum of its sites",
    "licensed": "as drawn at the time",
}


def model_words(name: str) -> str:
    """A model of an hourly series in words; a name without words stays as it is."""
    return MODEL_WORDS.get(name, name)

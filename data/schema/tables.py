"""The contract: every table and column, with type, unit, range and meaning.

Names carry units. Stamps are UTC, microseconds, and mark the start of their interval. Missing is null, never zero.
Ratios run from 0 to 1. The data dictionary and every check are derived from the definitions here.
"""

from __future__ import annotations

from data.schema.types import (
    DEMAND_METRICS,
    DIRECTION_OF,
    DRAWS,
    FLAG,
    GBPS_LIMIT,
    GLOBAL_KEY,
    HORIZONS,
    ID_PATTERN,
    LEVELS,
    METRIC,
    METRICS,
    PEAK_QUANTILES,
    QUANTILES,
    REAL,
    STAMP,
    TEXT,
    WHOLE,
    Column,
    Direction,
    Level,
    Metric,
    Series,
    Table,
    identifier,
    stamp,
)
from data.schema.validation import Fault, Findings, validate

# What a run writes
# --------------------------------------------------------------------------------------------------------------------

_SERIES = (
    Column("level", TEXT, "Level of the series", choices=LEVELS),
    identifier("key", "site_id, region_id, or 'all'"),
    Column("metric", TEXT, "Metric of the series", choices=tuple(METRIC)),
)
_RUN = identifier("run_id", "The refresh that published the row")


def _quantile_columns(quantiles: dict[str, float]) -> tuple[Column, ...]:
    """A column for each quantile."""
    return tuple(Column(n, REAL, f"{p:g} quantile", "of the metric", low=0.0) for n, p in quantiles.items())


# Rows lie in the order of the key: the Overview reads one metric of all sites, a third of the file.
FORECASTS = Table(
    "forecasts",
    "Hourly forecasts to 90 days ahead",
    "refresh",
    (
        _RUN,
        *_SERIES,
        stamp("ts", "Start of the hour"),
        Column("yhat", REAL, "Expected value", "of the metric", low=0.0),
        *_quantile_columns(QUANTILES),
        Column("prophet", REAL, "What Prophet with its trend expects", "of the metric", required=False, low=0.0),
        Column("baseline", REAL, "What the best baseline expects", "of the metric", required=False, low=0.0),
    ),
    ("run_id", "level", "metric", "key", "ts"),
    partition="run_id",
)
BANDS = Table(
    "bands",
    "Expected value and bounds at the telemetry's grain, by the hour where that is coarser, for the last 14 and the next 2 days",
    "refresh",
    (
        _RUN,
        *_SERIES,
        stamp("ts", "Start of the interval"),
        Column("expected", REAL, "Expected value", "of the metric", low=0.0),
        Column("lower_80", REAL, "Lower bound, 80 %", "of the metric", low=0.0),
        Column("upper_80", REAL, "Upper bound, 80 %", "of the metric", low=0.0),
        Column("lower_95", REAL, "Lower bound, 95 %", "of the metric", low=0.0),
        Column("upper_95", REAL, "Upper bound, 95 %", "of the metric", low=0.0),
    ),
    ("run_id", "level", "key", "metric", "ts"),
    partition="run_id",
)
SERIES_STATUS = Table(
    "series_status",
    "What became of each series in a run",
    "refresh",
    (
        _RUN,
        *_SERIES,
        Column(
            "status", TEXT, "fitted, refused (too little to go on) or failed", choices=("fitted", "refused", "failed")
        ),
        Column("reason", TEXT, "Why it was refused or failed, or has no coming weeks", required=False),
        Column("model", TEXT, "Model that was drawn", required=False),
        Column("observations", WHOLE, "Hours fitted", "hours", low=0),
        Column("seconds", REAL, "Time spent", "s", low=0.0),
    ),
    ("run_id", "level", "key", "metric"),
    partition="run_id",
)
PEAKS = Table(
    "peaks",
    "Peak and P95 of each coming week",
    "refresh",
    (
        _RUN,
        *_SERIES,
        stamp("week", "Monday 00:00 of the week"),
        Column("statistic", TEXT, "Which peak", choices=("peak", "p95")),
        *_quantile_columns(PEAK_QUANTILES),
    ),
    ("run_id", "level", "key", "metric", "week", "statistic"),
    partition="run_id",
    optional=True,
)
SIMULATED_PEAKS = Table(
    "simulated_peaks",
    "Joint futures of each coming week, to 18 months ahead, that peaks and plans are read from",
    "refresh",
    (
        _RUN,
        *_SERIES,
        stamp("week", "Monday 00:00 of the week"),
        Column("statistic", TEXT, "Which peak", choices=("peak", "p95")),
        Column(
            "samples",
            DRAWS,
            "The statistic in each future; the same place in every row is the same future",
            "of the metric",
        ),
    ),
    ("run_id", "level", "metric", "statistic", "key", "week"),
    partition="run_id",
    optional=True,
)
SCORES = Table(
    "scores",
    "Backtest scores by series, model and horizon",
    "refresh",
    (
        _RUN,
        *_SERIES,
        Column("model", TEXT, "Model scored; peaks and peaks-p95 for the quantiles of the table peaks"),
        Column("horizon", TEXT, "Horizon band; week 1 to week 4 for peaks and peaks-p95"),
        Column(
            "score",
            TEXT,
            "mase, wape, bias, pinball, coverage_50, coverage_80, coverage_95, msis_95; for peaks and peaks-p95 coverage_90, coverage_95",
        ),
        Column("value", REAL, "Its value"),
        Column("origins", WHOLE, "Backtest origins behind it", "origins", low=0),
    ),
    ("run_id", "level", "key", "metric", "model", "horizon", "score"),
    partition="run_id",
    optional=True,
)
LICENCES = Table(
    "licences",
    "Which model is drawn for a series and horizon, and why",
    "refresh",
    (
        _RUN,
        *_SERIES,
        Column("horizon", TEXT, "Horizon band", choices=tuple(HORIZONS)),
        Column(
            "model",
            TEXT,
            "What is drawn: blend (licensed), mixture of it and the baseline, a baseline, sum of sites (regions, network), shape of its region (young sites)",
        ),
        Column(
            "share",
            REAL,
            "Share of the blend in what is drawn, the rest being the best baseline; null for sums and young sites, and in runs of earlier releases",
            "ratio",
            required=False,
            low=0.0,
            high=1.0,
        ),
        Column("baseline", TEXT, "Best baseline"),
        Column(
            "licensed",
            FLAG,
            "Whether the blend, or the sum, beat the best baseline out of sample by more than the noise",
        ),
        Column(
            "error",
            REAL,
            "Mean absolute scaled error of what is drawn, over past origins; null where none could be measured",
            required=False,
            low=0.0,
        ),
        Column("baseline_error", REAL, "The same of the best baseline", required=False, low=0.0),
        Column(
            "margin",
            REAL,
            "What the difference of the two had to pass: a standard error of it",
            required=False,
            low=0.0,
        ),
        Column("origins", WHOLE, "Backtest origins behind it; 0 where history allows none", "origins", low=0),
        Column("reason", TEXT, "The decision in one sentence"),
    ),
    ("run_id", "level", "key", "metric", "horizon"),
    partition="run_id",
    optional=True,
)
BACKTESTS = Table(
    "backtests",
    "What would have been forecast at past origins: for the first week after each, and after one of them as far as is forecast",
    "refresh",
    (
        _RUN,
        *_SERIES,
        stamp("origin", "First hour that the forecast had not seen"),
        stamp("ts", "Start of the hour"),
        Column("yhat", REAL, "Expected value", "of the metric", low=0.0),
        Column("prophet", REAL, "What Prophet with its trend expected", "of the metric", required=False, low=0.0),
        Column("baseline", REAL, "What the best baseline expected", "of the metric", required=False, low=0.0),
        *_quantile_columns(
            {name: level for name, level in QUANTILES.items() if name in {"q025", "q10", "q90", "q975"}}
        ),
    ),
    ("run_id", "level", "key", "metric", "origin", "ts"),
    partition="run_id",
    optional=True,
)
ANOMALIES = Table(
    "anomalies",
    "Measurements that left their band",
    "refresh",
    (
        _RUN,
        *_SERIES,
        stamp("ts", "Start of the interval"),
        Column("value", REAL, "What was measured", "of the metric"),
        Column("expected", REAL, "What was expected", "of the metric"),
        Column("score", REAL, "Distance in robust standard deviations"),
    ),
    ("run_id", "level", "key", "metric", "ts"),
    partition="run_id",
    optional=True,
)
INCIDENTS = Table(
    "incidents",
    "Anomalies that belong together",
    "refresh",
    (
        _RUN,
        identifier("incident_id", "Identifier of the incident"),
        Column("kind", TEXT, "What it looks like"),
        Column("scope", TEXT, "global, a region_id, or a site_id", pattern=ID_PATTERN),
        stamp("start", "First moment"),
        stamp("end", "First moment after it; null while it lasts", required=False),
        Column("severity", REAL, "Share of demand touched", "ratio", low=0.0, high=1.0),
    ),
    ("run_id", "incident_id"),
    partition="run_id",
    optional=True,
)
SET_ASIDE = Table(
    "set_aside",
    "Samples that no site can have carried, as a refresh met them; telemetry keeps them, and all that reads it leaves them out",
    "refresh",
    (
        identifier("site_id", "Identifier of the site"),
        Column("metric", TEXT, "What was measured", choices=DEMAND_METRICS),
        stamp("ts", "Start of the interval"),
        Column("value", REAL, "What was measured", "of the metric"),
        Column("usual", REAL, "Usual value at that hour of the week", "of the metric", required=False),
        Column("capacity_gbps", REAL, "Capacity in force", "Gbps", required=False),
        Column("cause", TEXT, "Likely cause", choices=("spike", "above capacity", "unit error")),
        Column("reason", TEXT, "The reason in a sentence"),
    ),
    ("site_id", "metric", "ts"),
    optional=True,
)
LEVEL_CHANGES = Table(
    "level_changes",
    "Lasting changes by a factor of five or more, with what they likelier are",
    "refresh",
    (
        identifier("site_id", "Identifier of the site"),
        Column("metric", TEXT, "What was measured", choices=DEMAND_METRICS),
        stamp("ts", "First sample of the new level"),
        stamp("until", "First sample after it; null while it lasts", required=False),
        Column("value", REAL, "Its median", "of the metric"),
        Column("usual", REAL, "What was usual before", "of the metric"),
        Column("factor", REAL, "How many times usual", "ratio"),
        Column("cause", TEXT, "What it likelier is", choices=("new level", "unit error")),
        Column("reason", TEXT, "The reason in a sentence"),
        Column("is_set_aside", FLAG, "Whether its samples are set aside, because the capacity rules them out"),
    ),
    ("site_id", "metric", "ts"),
    optional=True,
)
RUNS = Table(
    "runs",
    "Refreshes; a run is published by its row here",
    "refresh",
    (
        _RUN,
        Column("number", WHOLE, "Count of the run in this lake", low=1),
        Column("telemetry_version", WHOLE, "Version of the telemetry that was fitted", low=0),
        stamp("telemetry_until", "End of the telemetry that was fitted"),
        Column("engine", TEXT, "Engine that fitted"),
        Column("versions", TEXT, "Packages and their versions, JSON"),
        Column("git_commit", TEXT, "Commit of the code", required=False),
        stamp("started", "When it started"),
        Column("seconds", REAL, "How long it took", "s", low=0.0),
        Column("fitted", WHOLE, "Series fitted", "series", low=0),
        Column("refused", WHOLE, "Series refused", "series", low=0),
        Column("failed", WHOLE, "Series failed", "series", low=0),
        Column(
            "licensed_share",
            REAL,
            "Share of series and horizons whose model beat the baseline",
            "ratio",
            required=False,
            low=0.0,
            high=1.0,
        ),
    ),
    ("run_id",),
)


# What snapshots hold, and all tables
# --------------------------------------------------------------------------------------------------------------------


def _of_metric(metric: Metric) -> Column:
    return Column(
        metric.name, REAL, metric.meaning, metric.unit, metric.required, nullable=True, low=0.0, high=metric.high
    )


def _rollup_columns() -> tuple[Column, ...]:
    """Mean, P95 and max of every metric, with how many samples stand behind them."""
    statistics = {"mean": "mean", "p95": "95th percentile", "max": "highest"}
    measured = tuple(
        Column(
            f"{m.name}_{s}",
            REAL,
            f"{m.label}: {words} of the samples of the interval",
            m.unit,
            required=False,
            low=0.0,
            high=None,
        )
        for m in METRICS
        for s, words in statistics.items()
    )
    return (
        Column("level", TEXT, "What the row describes", choices=LEVELS),
        identifier("key", "site_id, region_id, or 'all'"),
        stamp("ts", "Start of the interval"),
        *measured,
        Column("samples", WHOLE, "Samples behind the row", "samples", low=0),
        Column("completeness", REAL, "Samples present over samples expected", "ratio", low=0.0, high=1.0),
    )


SITES = Table(
    "sites",
    "Points of presence",
    "ingest",
    (
        identifier("site_id", "Identifier of the site"),
        Column("name", TEXT, "Name that people use"),
        identifier("region_id", "Identifier of the region"),
        Column("region_name", TEXT, "Name of the region", required=False, filled="region_id"),
        Column("city", TEXT, "City", required=False),
        Column("country", TEXT, "Country, ISO 3166 alpha-2", required=False),
        Column("lat", REAL, "Latitude, WGS 84", "degrees", low=-90.0, high=90.0),
        Column("lon", REAL, "Longitude, WGS 84", "degrees", low=-180.0, high=180.0),
        Column("timezone", TEXT, "IANA time zone", required=False, filled="UTC"),
        Column("partner", TEXT, "Infrastructure partner that runs the site", required=False),
        Column(
            "roles", TEXT, "What the site does, joined by a comma: ingest, edge", required=False, filled="ingest,edge"
        ),
        Column(
            "lead_time_days",
            REAL,
            "Days from an order to capacity in service",
            "days",
            required=False,
            low=0.0,
            high=3650.0,
        ),
    ),
    ("site_id",),
)
CAPACITY = Table(
    "capacity",
    "Capacity of a site as steps in time; planned augments are rows",
    "ingest",
    (
        identifier("site_id", "Identifier of the site"),
        Column("direction", TEXT, "Which way the traffic goes", choices=("ingest", "egress")),
        stamp("effective_from", "When this capacity starts"),
        Column("capacity_gbps", REAL, "Capacity from then on; zero closes the site", "Gbps", low=0.0, high=GBPS_LIMIT),
        Column(
            "status",
            TEXT,
            "installed, or planned",
            required=False,
            choices=("installed", "planned"),
            filled="installed",
        ),
        Column("cost_usd_month", REAL, "Cost of this capacity", "USD a month", required=False, low=0.0, high=1e12),
    ),
    ("site_id", "direction", "effective_from"),
)
TELEMETRY = Table(
    "telemetry",
    "What the sites measured; 5-minute grain, others accepted",
    "ingest",
    (
        stamp("ts", "Start of the interval"),
        stamp("received_at", "When the measurement arrived", required=False, filled="the time of the ingest"),
        identifier("site_id", "Identifier of the site"),
        *(_of_metric(m) for m in METRICS),
    ),
    ("site_id", "ts"),
    partition="date",
)
FLOWS = Table(
    "flows",
    "Traffic between sites",
    "ingest",
    (
        stamp("ts", "Start of the interval"),
        identifier("source_site_id", "Where the traffic enters"),
        identifier("target_site_id", "Where the traffic leaves"),
        Column("gbps", REAL, "Traffic, mean of the interval", "Gbps", low=0.0, high=GBPS_LIMIT),
    ),
    ("source_site_id", "target_site_id", "ts"),
    partition="date",
    optional=True,
)
LINKS = Table(
    "links",
    "Links between sites",
    "ingest",
    (
        identifier("link_id", "Identifier of the link"),
        identifier("source_site_id", "One end"),
        identifier("target_site_id", "The other end"),
        Column("capacity_gbps", REAL, "Capacity of the link", "Gbps", low=0.0, high=GBPS_LIMIT),
    ),
    ("link_id",),
    optional=True,
)
EVENTS = Table(
    "events",
    "What is known to happen: tournaments, releases, maintenance, outages",
    "ingest",
    (
        identifier("event_id", "Identifier of the event"),
        Column(
            "kind", TEXT, "What it is", choices=("tournament", "release", "maintenance", "outage", "change", "holiday")
        ),
        Column("title", TEXT, "Name that people use"),
        stamp("start", "First moment"),
        stamp("end", "First moment after it"),
        Column("scope", TEXT, "global, a region_id, or a site_id", required=False, pattern=ID_PATTERN, filled="global"),
        Column(
            "treatment",
            TEXT,
            "What the forecast does with it; keep: samples within it are never set aside",
            required=False,
            choices=("regressor", "mask", "note", "keep"),
            filled="note",
        ),
        Column("author", TEXT, "Who wrote it", required=False),
    ),
    ("event_id",),
    optional=True,
)
TELEMETRY_1H = Table(
    "telemetry_1h",
    "Telemetry by hour; a sample coarser than an hour stands for each of its hours",
    "rollup",
    _rollup_columns(),
    ("level", "key", "ts"),
    partition="month",
)
TELEMETRY_1D = Table("telemetry_1d", "Telemetry by UTC day", "rollup", _rollup_columns(), ("level", "key", "ts"))
FLOWS_1H = Table("flows_1h", "Flows by hour", "rollup", FLOWS.columns, FLOWS.key, partition="month", optional=True)
SNAPSHOTS = Table(
    "snapshots",
    "Ledger of ingest: every snapshot seen, once",
    "ingest",
    (
        Column("sha256", TEXT, "Hash of the content", pattern=r"^[0-9a-f]{64}$"),
        Column("source", TEXT, "Where the snapshot was read"),
        Column("table", TEXT, "Table that it fed"),
        stamp("ingested_at", "When it was taken in"),
        Column("state", TEXT, "What became of it", choices=("accepted", "partial", "refused")),
        Column("rows", WHOLE, "Rows read", "rows", low=0),
        Column("rows_accepted", WHOLE, "Rows taken in", "rows", low=0),
        Column("rows_quarantined", WHOLE, "Rows refused", "rows", low=0),
        stamp("first_ts", "Earliest stamp", required=False),
        stamp("last_ts", "Latest stamp", required=False),
    ),
    ("sha256", "table"),
)
QUARANTINE = Table(
    "quarantine",
    "Why a snapshot, or rows of it, were refused",
    "ingest",
    (
        Column("sha256", TEXT, "Hash of the snapshot's content", pattern=r"^[0-9a-f]{64}$"),
        Column("source", TEXT, "Where the snapshot was read"),
        Column("table", TEXT, "Table that it was meant for"),
        stamp("refused_at", "When it was refused"),
        Column("level", TEXT, "Whether the file or rows were refused", choices=("file", "rows")),
        Column("column", TEXT, "Column at fault", required=False),
        Column("value", TEXT, "First value at fault", required=False),
        Column("bound", TEXT, "What the contract allows"),
        Column("count", WHOLE, "Rows at fault", "rows", low=0),
        Column("cause", TEXT, "Likely cause"),
        Column("remedy", TEXT, "What mends it"),
        Column("kept_at", TEXT, "Where the refused data lie"),
    ),
    ("sha256", "table", "column", "bound"),
)
TRUTH = Table(
    "simulated_incidents",
    "What the simulator did and when; read by tests and benchmarks alone",
    "simulator",
    (
        identifier("incident_id", "Identifier of the incident"),
        Column("kind", TEXT, "outage, surge, congestion, starvation, gap, late, failover"),
        identifier("site_id", "Site that it struck"),
        Column("metric", TEXT, "Metric that shows it", required=False),
        stamp("start", "First moment"),
        stamp("end", "First moment after it"),
        Column("magnitude", REAL, "Size, relative to the normal value", "ratio"),
    ),
    ("incident_id",),
    optional=True,
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        SITES,
        CAPACITY,
        TELEMETRY,
        FLOWS,
        LINKS,
        EVENTS,
        TELEMETRY_1H,
        TELEMETRY_1D,
        FLOWS_1H,
        SNAPSHOTS,
        QUARANTINE,
        FORECASTS,
        BANDS,
        SERIES_STATUS,
        PEAKS,
        SIMULATED_PEAKS,
        SCORES,
        LICENCES,
        BACKTESTS,
        ANOMALIES,
        INCIDENTS,
        SET_ASIDE,
        LEVEL_CHANGES,
        RUNS,
        TRUTH,
    )
}
INPUT_TABLES: tuple[str, ...] = ("sites", "capacity", "telemetry", "flows", "links", "events")

__all__ = [
    "DEMAND_METRICS",
    "DIRECTION_OF",
    "GLOBAL_KEY",
    "HORIZONS",
    "ID_PATTERN",
    "INPUT_TABLES",
    "LEVELS",
    "METRIC",
    "METRICS",
    "PEAK_QUANTILES",
    "QUANTILES",
    "STAMP",
    "TABLES",
    "Column",
    "Direction",
    "Fault",
    "Findings",
    "Level",
    "Metric",
    "Series",
    "Table",
    "validate",
]

"""The tables that a refresh writes by run: part of the contract, read through data.schema."""

from __future__ import annotations

from data.schema.types import (
    DRAWS,
    FLAG,
    HORIZONS,
    ID_PATTERN,
    LEVELS,
    METRIC,
    PEAK_QUANTILES,
    QUANTILES,
    REAL,
    TEXT,
    WHOLE,
    Column,
    Table,
    identifier,
    stamp,
)

_SERIES = (
    Column("level", TEXT, "Level of the series", choices=LEVELS),
    identifier("key", "site_id, region_id, or 'all'"),
    Column("metric", TEXT, "Metric of the series", choices=tuple(METRIC)),
)
_RUN = identifier("run_id", "The refresh that published the row")


def _quantile_columns(quantiles: dict[str, float]) -> tuple[Column, ...]:
    """A column for each quantile."""
    return tuple(Column(n, REAL, f"{p:g} quantile", "of the metric", low=0.0) for n, p in quantiles.items())


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
    ("run_id", "level", "key", "metric", "ts"),
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
        Column("reason", TEXT, "Why it was refused or failed", required=False),
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
            "What is drawn: blend, a baseline, sum of sites (regions and the network), or shape of its region (young sites)",
        ),
        Column("baseline", TEXT, "Best baseline"),
        Column(
            "licensed",
            FLAG,
            "Whether it beat the best baseline out of sample by more than the noise; else that is drawn, but for sums and young sites",
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

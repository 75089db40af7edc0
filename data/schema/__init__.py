"""The contract: every table and column with type, unit, range and meaning; the one place that names them.

`types` holds the vocabulary (metrics, levels, series), `tables` and `run_tables` the tables, `validation` the check of
a frame against a table.
"""

from __future__ import annotations

from data.schema.tables import INPUT_TABLES, TABLES, TELEMETRY
from data.schema.types import (
    DEMAND_METRICS,
    DIRECTION_OF,
    DRAWS,
    GBPS_LIMIT,
    GLOBAL_KEY,
    HORIZONS,
    ID_PATTERN,
    LEVELS,
    METRIC,
    METRICS,
    MIN_HOUR_COMPLETENESS,
    PEAK_QUANTILES,
    QUANTILES,
    REAL,
    STAMP,
    TEXT,
    TEXT_LIMIT,
    UTILISATION_LIMIT,
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
from data.schema.validation import Fault, validate

__all__ = [
    "DEMAND_METRICS",
    "DIRECTION_OF",
    "DRAWS",
    "GBPS_LIMIT",
    "GLOBAL_KEY",
    "HORIZONS",
    "ID_PATTERN",
    "INPUT_TABLES",
    "LEVELS",
    "METRIC",
    "METRICS",
    "MIN_HOUR_COMPLETENESS",
    "PEAK_QUANTILES",
    "QUANTILES",
    "REAL",
    "STAMP",
    "TABLES",
    "TELEMETRY",
    "TEXT",
    "TEXT_LIMIT",
    "UTILISATION_LIMIT",
    "WHOLE",
    "Column",
    "Direction",
    "Fault",
    "Level",
    "Metric",
    "Series",
    "Table",
    "identifier",
    "stamp",
    "validate",
]

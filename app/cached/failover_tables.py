"""The failover table that holds for everybody, or one that a viewer uploads: parsed and checked once for its
content.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import pandas as pd

from forecasting.cli import failover_file
from forecasting.cli.failover_file import COLUMNS, Declared, content_of, rule
from forecasting.cli.plan_file import FAILOVER as SETTING

__all__ = ["COLUMNS", "SETTING", "Declared", "configured", "read", "rule"]

# Every draw of the page asks for its table, and one of a hundred sites takes 30 ms to check.
TABLES_KEPT = 16


def configured(sites: pd.DataFrame) -> Declared | None:
    """The table that HEADROOM_FAILOVER names, None where it names none; SettingError where it is not usable."""
    path = os.environ.get(SETTING)
    return read(Path(path).name, content_of(Path(path)), sites) if path else None


def read(name: str, content: bytes, sites: pd.DataFrame) -> Declared:
    """The table in a file's content, checked against the lake's sites; SettingError with the first fault."""
    return _read(name, content, frozenset(sites["site_id"]))


@lru_cache(maxsize=TABLES_KEPT)
def _read(name: str, content: bytes, known: frozenset[str]) -> Declared:
    return failover_file.read(name, content, known)

"""The options of `python -m forecasting plan` and the kinds of file that it writes, apart from the plan itself, whose
solvers are slow to import.
"""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Callable
from pathlib import Path

import pandas as pd


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Stamps and numbers as they are."""
    frame.to_parquet(path, index=False)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Empty where nothing is known."""
    frame.to_csv(path, index=False)


def write_json(frame: pd.DataFrame, path: Path) -> None:
    """One object a row, stamps in ISO 8601."""
    frame.to_json(path, orient="records", date_format="iso", indent=1)


Writer = Callable[[pd.DataFrame, Path], None]
WRITERS: dict[str, Writer] = {".parquet": write_parquet, ".csv": write_csv, ".json": write_json}
CALENDAR = ".ics"


def add_plan(parser: argparse.ArgumentParser) -> None:
    """The options of `plan` but for the lake."""
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="TOML or JSON: statistic, limit, limits, planned, ordering, augments (default: the usual)",
    )
    parser.add_argument(
        "--failover",
        type=Path,
        metavar="FILE",
        help="who takes over for whom where the policy asks for N-1: CSV or Parquet with site_id, helper_site_id, weight "
        "(default: HEADROOM_FAILOVER, else distance and headroom)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"the plan: {', '.join(WRITERS)}, or {CALENDAR} for a calendar of its orders",
    )
    parser.add_argument("--save", metavar="NAME", help="keep the plan under this name, to be scored by what comes")
    parser.add_argument(
        "--author", default=login(), metavar="NAME", help="who keeps it (default: the login name, %(default)r)"
    )


def login() -> str:
    """The name of whoever runs the command; empty where the system knows none."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return ""

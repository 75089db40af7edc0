"""A table as a file: Parquet, CSV or JSON by its ending, or CSV to standard output."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from data.schema.errors import SettingError

ENDINGS = (".parquet", ".csv", ".json")


def check_ending(path: Path | None) -> None:
    """Raises SettingError for a file whose ending names no format."""
    if path and path.suffix.lower() not in ENDINGS:
        raise SettingError(
            f"{path} has no ending that is known.",
            cause="it is mistyped",
            remedy=f"end it with {', '.join(ENDINGS)}",
        )


def write_table(frame: pd.DataFrame, path: Path | None) -> None:
    """Write a frame to a file, whose folder is made where there is none, or as CSV to standard output."""
    if path is None:
        sys.stdout.write(frame.to_csv(index=False))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix.lower() == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", date_format="iso", indent=1)

"""The file in which the operator declares who takes over for whom: a table of weights, as CSV or Parquet."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from pyarrow import ArrowInvalid

from data.schema.errors import SettingError
from forecasting.planning.failover import Failover, declared, nearby

COLUMNS = ("site_id", "helper_site_id", "weight")
FEW = 3


@dataclass(frozen=True, slots=True)
class Declared:
    """A checked table: rows of site, helper, weight. Its name and digest stand for it where an answer is kept."""

    name: str
    digest: str
    rows: tuple[tuple[str, str, float], ...] = field(repr=False)

    @property
    def frame(self) -> pd.DataFrame:
        """The rows in COLUMNS."""
        return pd.DataFrame(list(self.rows), columns=list(COLUMNS))


def failover_of(table: Declared | None, sites: pd.DataFrame, keys: Sequence[str]) -> Failover:
    """The weights that a table declares, of the pairs of which both sites are among `keys`; distance and headroom where
    there is none.
    """
    if table is None:
        return nearby(sites, keys)
    rows = table.frame
    return declared(rows[rows["site_id"].isin(keys) & rows["helper_site_id"].isin(keys)], sites, keys)


def rule(table: Declared | None) -> str:
    """Which weights hold, in a few words: 'as ours.csv declares'."""
    return "by distance and headroom" if table is None else f"as {table.name} declares"


def read_file(path: Path, known: Collection[str]) -> Declared:
    """The table in a file; SettingError where it is not usable."""
    return read(path.name, content_of(path), known)


def content_of(path: Path) -> bytes:
    """What the file holds; SettingError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(
            f"The failover table {path} cannot be read: {error.strerror or error}.",
            cause="the path names another place",
            remedy="name a CSV or Parquet file",
        ) from error


def read(name: str, content: bytes, known: Collection[str]) -> Declared:
    """The table in a file's content, checked against the sites that are known; SettingError with the first fault."""
    found = _parsed(name, content)
    if missing := [column for column in COLUMNS if column not in found]:
        raise SettingError(
            f"{name} has no column {' and no column '.join(missing)}; it has {', '.join(map(str, found.columns))[:200]}.",
            cause="its columns have other names",
            remedy=f"name them {', '.join(COLUMNS)}",
        )
    if found.empty:
        raise SettingError(
            f"{name} has no rows.",
            cause="it is an empty export",
            remedy=f"give a row for each pair: {', '.join(COLUMNS)}",
        )
    rows = found.assign(site_id=found["site_id"].astype(str), helper_site_id=found["helper_site_id"].astype(str))
    rows["number"] = pd.to_numeric(rows["weight"], errors="coerce")
    _check(name, rows, known)
    held = tuple(
        (str(site), str(helper), float(weight))
        for site, helper, weight in zip(rows["site_id"], rows["helper_site_id"], rows["number"], strict=True)
    )
    return Declared(name, hashlib.sha256(repr(sorted(held)).encode()).hexdigest(), held)


def _parsed(name: str, content: bytes) -> pd.DataFrame:
    try:
        return (
            pd.read_parquet(io.BytesIO(content))
            if name.lower().endswith(".parquet")
            else pd.read_csv(io.BytesIO(content), dtype={"site_id": str, "helper_site_id": str})
        )
    except (OSError, ArrowInvalid, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SettingError(
            f"{name} cannot be read as a table: {' '.join(str(error).split())[:200]}.",
            cause="it is another kind of file",
            remedy="send CSV or Parquet",
        ) from error


def _check(name: str, rows: pd.DataFrame, known: Collection[str]) -> None:
    """SettingError for the first kind of fault, with the row of the file (its header being row 1)."""
    faults = {
        "names a site that the lake does not have": ~rows["site_id"].isin(known) | ~rows["helper_site_id"].isin(known),
        "lets a site help itself": rows["site_id"] == rows["helper_site_id"],
        "has a weight that is not a number of at least 0": ~(rows["number"] >= 0.0) | (rows["number"] == float("inf")),
        "names a pair a second time": rows.duplicated(["site_id", "helper_site_id"]),
    }
    for what, bad in faults.items():
        if bad.any():
            at = int(bad.to_numpy().argmax())
            row = rows.iloc[at]
            pair = f"{row['site_id']} to {row['helper_site_id']} with weight {row['weight']}"
            raise SettingError(
                f"Row {at + 2} of {name} {what}: {pair[:200]}.",
                cause="a typing error, or the table of another network",
                remedy=f"mend the row; sites are called like {', '.join(sorted(known)[:FEW])}",
            )

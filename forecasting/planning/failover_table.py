"""The table in which an operator declares who takes over for whom: weights, as CSV or Parquet."""

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

FAILOVER_COLUMNS = ("site_id", "helper_site_id", "weight")
# The environment variable that names the table which holds for everybody.
FAILOVER_SETTING = "HEADROOM_FAILOVER"
# Sites that a message names as examples.
FEW = 3


@dataclass(frozen=True, slots=True)
class DeclaredFailover:
    """A checked table: rows of site, helper, weight. Its name and digest stand for it where an answer is kept."""

    name: str
    digest: str
    rows: tuple[tuple[str, str, float], ...] = field(repr=False)

    @property
    def frame(self) -> pd.DataFrame:
        """The rows in FAILOVER_COLUMNS."""
        return pd.DataFrame(list(self.rows), columns=list(FAILOVER_COLUMNS))


def failover_of(table: DeclaredFailover | None, sites: pd.DataFrame, keys: Sequence[str]) -> Failover:
    """The weights that a table declares, of the pairs of which both sites are among `keys`; distance and headroom where
    there is none.
    """
    if table is None:
        return nearby(sites, keys)
    rows = table.frame
    return declared(rows[rows["site_id"].isin(keys) & rows["helper_site_id"].isin(keys)], sites, keys)


def failover_rule(table: DeclaredFailover | None) -> str:
    """Which weights hold, in a few words: 'as ours.csv declares'."""
    return "by distance and headroom" if table is None else f"as {table.name} declares"


def read_failover(path: Path, known: Collection[str]) -> DeclaredFailover:
    """The table in a file; SettingError where it is not usable."""
    return parse_failover(path.name, file_content(path), known)


def file_content(path: Path) -> bytes:
    """What the file holds; SettingError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(
            f"The failover table {path} cannot be read: {error.strerror or error}.",
            cause="the path names another place",
            remedy="name a CSV or Parquet file",
        ) from error


def parse_failover(name: str, content: bytes, known: Collection[str]) -> DeclaredFailover:
    """The table in a file's content, checked against the sites that are known; SettingError with the first fault."""
    table = _as_table(name, content)
    if missing := [column for column in FAILOVER_COLUMNS if column not in table]:
        raise SettingError(
            f"{name} has no column {' and no column '.join(missing)}; it has {', '.join(map(str, table.columns))[:200]}.",
            cause="its columns have other names",
            remedy=f"name them {', '.join(FAILOVER_COLUMNS)}",
        )
    if table.empty:
        raise SettingError(
            f"{name} has no rows.",
            cause="it is an empty export",
            remedy=f"give a row for each pair: {', '.join(FAILOVER_COLUMNS)}",
        )
    rows = table.assign(site_id=table["site_id"].astype(str), helper_site_id=table["helper_site_id"].astype(str))
    rows["number"] = pd.to_numeric(rows["weight"], errors="coerce")
    _check(name, rows, known)
    pairs = tuple(
        (str(site), str(helper), float(weight))
        for site, helper, weight in zip(rows["site_id"], rows["helper_site_id"], rows["number"], strict=True)
    )
    return DeclaredFailover(name, hashlib.sha256(repr(sorted(pairs)).encode()).hexdigest(), pairs)


def _as_table(name: str, content: bytes) -> pd.DataFrame:
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

"""Fewer rows to draw, the same picture: extremes stay exact and gaps stay gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from tsdownsample import MinMaxDownsampler

LIMIT = 2000
_Rows = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]
_Table = npt.NDArray[np.float64]


def thin(frame: pd.DataFrame, columns: str | Sequence[str], limit: int = LIMIT) -> pd.DataFrame:
    """At most `limit` rows of `frame` (sorted by ts) that draw the same lines.

    Every column keeps its first, last, lowest and highest value, and the lowest and highest of each of equal parts of
    it (MinMax, tsdownsample). Where nulls lie between two kept values, one null row is kept between them, so that no
    line joins across a gap; with more gaps than the limit has room for, the parts grow and gaps still stay gaps. A row
    that lacks one of the columns is part of a gap.
    """
    if len(frame) <= limit:
        return frame
    table = frame[[columns] if isinstance(columns, str) else list(columns)].to_numpy(dtype=float, na_value=np.nan)
    present = np.isfinite(table).all(axis=1)
    least = max(2, limit // 2 // table.shape[1])  # fits whatever the gaps: one null row for each kept one
    share = limit
    while len(rows := _rows(table, present, share)) > limit and share > least:
        share = max(
            least, min(share - 1, share * limit // len(rows))
        )  # columns that turn together share their rows: more fit than the least
    return frame.iloc[rows]


def coarser(frame: pd.DataFrame, names: Mapping[str, str], limit: int) -> pd.DataFrame:
    """At most `limit` rows at a step that is a multiple of the frame's own: what is expected is smooth, and even stamps
    need not be sent one by one.

    `names` gives the columns of expected, lower_* and upper_* bounds. A bound keeps the outermost of the values that a
    row stands for, so that no band is drawn narrower than it is; the line keeps the one furthest from the middle of
    all, so that its peaks stay as high as they are. One null makes a row null.
    """
    many = -(-len(frame) // limit)
    if many <= 1:
        return frame
    rows = frame.reset_index(drop=True)
    part = rows.index // many
    line = rows[names["expected"]]
    middle = (line.max() + line.min()) / 2
    outermost = (line - middle).abs().fillna(np.inf).groupby(part).idxmax()
    bounds = {
        column: rows[column].groupby(part).agg("max" if name.startswith("upper") else "min")
        for name, column in names.items()
        if name != "expected"
    }
    drawn = pd.DataFrame(bounds | {names["expected"]: line[outermost].to_numpy()})
    return drawn.where(drawn[names["expected"]].notna()).assign(ts=rows["ts"].groupby(part).first())


def _rows(table: _Table, present: _Mask, share: int) -> _Rows:
    """The rows to keep when each column keeps about `share` values."""
    full = np.flatnonzero(present)
    if len(full) == 0:
        return np.arange(1, dtype=np.int64)
    kept = np.unique(np.concatenate([_extremes(column, full, share) for column in table.T]))
    return np.union1d(kept, _gaps(kept, present))


def _extremes(values: npt.NDArray[np.float64], full: _Rows, share: int) -> _Rows:
    """Rows of the values to keep: the ends, both sides of each gap as far as they fit, and the lowest and highest of
    equal parts.
    """
    if len(full) <= share:
        return full
    before = np.flatnonzero(np.diff(full) > 1)
    ends = np.concatenate([full[[0, -1]], full[before], full[before + 1]])
    ends = ends if len(ends) <= share // 2 else full[[0, -1]]
    parts = max(2, (share - len(ends)) // 2 * 2)
    minmax = MinMaxDownsampler()  # type: ignore[no-untyped-call]
    found = minmax.downsample(np.ascontiguousarray(values[full]), n_out=parts)
    return np.union1d(ends, full[found.astype(np.int64)])


def _gaps(kept: _Rows, present: _Mask) -> _Rows:
    """One null row for each pair of neighbouring kept rows that has nulls between them."""
    missing = np.flatnonzero(~present)
    first = np.searchsorted(missing, kept[:-1])
    after = np.append(missing, len(present))[first]
    return after[after < kept[1:]]

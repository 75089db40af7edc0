"""Many sites on one axis: a matrix of sites and steps, NaN for missing, and the long frame that pages take. Faster than
a join with an axis in SQL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

Matrix = np.ndarray[Any, np.dtype[np.float64]]
# SQL to join a table of series with: the sites that a question gives as $sites, each with its row of the matrix. Rows
# looked up by name take longer.
ROWS = "(SELECT unnest($sites::VARCHAR[]) AS key, generate_subscripts($sites::VARCHAR[], 1) - 1 AS row)"


def spread(sites: int, steps: int, found: pd.DataFrame) -> Matrix:
    """Values of `found` (row, step, value) in a matrix of so many sites and steps."""
    matrix = np.full((sites, steps), np.nan)
    matrix[found["row"].to_numpy(), found["step"].to_numpy()] = found["value"].to_numpy()
    return matrix


def unrolled(sites: pd.DataFrame, name: str, axis: Any, **matrices: Matrix) -> pd.DataFrame:
    """A row for each site and step: the columns of `sites`, the axis under its name, and the values of each matrix."""
    rows = np.repeat(np.arange(len(sites)), len(axis))
    columns = {column: values.take(rows) for column, values in ((column, sites[column].array) for column in sites)}
    steps = {name: axis.take(np.tile(np.arange(len(axis)), len(sites)))}
    return pd.DataFrame(columns | steps | {column: matrix.ravel() for column, matrix in matrices.items()}, copy=False)

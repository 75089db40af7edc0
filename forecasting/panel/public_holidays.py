"""Public holidays as columns of a design, from the source that Prophet takes them from."""

from __future__ import annotations

from collections.abc import Sequence

import holidays
import numpy as np
import pandas as pd

from data.schema.errors import SettingError


def holiday_columns(country: str, stamps: pd.DatetimeIndex, names: Sequence[str] | None = None) -> pd.DataFrame:
    """One column for each holiday of the country (ISO 3166 code) in the stamps' years: 1 at the stamps of that day by
    their own clock, 0 elsewhere.

    Two holidays on one day both count. `names` asks for these columns and no others, so that a forecast has those of
    its history. Names are in English where the source has them so. Raises SettingError for a country that the source
    does not know.
    """
    dates = stamps.tz_localize(None).normalize()
    try:
        known = holidays.country_holidays(country, years=sorted(set(dates.year)), language="en_US", expand=False)
    except NotImplementedError as error:
        raise SettingError(
            f"No holidays are known of {country!r}.",
            cause="it is not the two-letter code of a country that the holidays package covers",
            remedy="write the ISO 3166 code, for instance US or DE",
        ) from error
    days: dict[str, list[pd.Timestamp]] = {}
    for date in known:
        for name in known.get_list(date):
            days.setdefault(name, []).append(pd.Timestamp(date))
    wanted = sorted(days) if names is None else list(names)
    return pd.DataFrame(
        {name: np.asarray(dates.isin(days.get(name, [])), dtype=float) for name in wanted}, index=stamps
    )

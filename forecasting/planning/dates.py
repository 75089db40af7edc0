"""Days and moments that people write down."""

from __future__ import annotations

import pandas as pd

from data.schema.errors import SettingError


def stamp(text: str) -> pd.Timestamp:
    """A day or moment, UTC where it names no zone. SettingError where it is none."""
    try:
        found = pd.Timestamp(text)
    except ValueError as error:
        raise SettingError(f"{text!r} is not a date.", remedy="write it as 2027-05-31") from error
    return found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")

"""Identifiers of what the store holds: made at random, so that two who make something at once never meet."""

from __future__ import annotations

import re
import secrets

from data.schema.errors import StoreError
from data.schema.validation import excerpt

_SHAPE = re.compile(r"[0-9a-f]{16}")


def new_id() -> str:
    """Sixteen hexadecimal digits: short enough for an address, and no two alike among millions."""
    return secrets.token_hex(8)


def checked_id(what: str, given: object) -> str:
    """The identifier, which may come from an address; StoreError where nothing can have it."""
    if not isinstance(given, str) or not _SHAPE.fullmatch(given):
        raise absent(what, given)
    return given


def absent(what: str, given: object) -> StoreError:
    """The error for a scenario or a plan that is not there."""
    return StoreError(
        f"There is no {what} {excerpt(given)!r}.",
        cause="the address is of another store, or was typed",
        remedy=f"choose a {what} from the list",
    )

"""Text that people write: names, authors, notes. Any script and any markup is kept as it is, as text; what would break
a store or a page is refused.
"""

from __future__ import annotations

import unicodedata

from data.schema.errors import HeadroomError, ScenarioError
from data.schema.types import TEXT_LIMIT
from data.schema.validation import excerpt

# Control characters, halves of characters, and breaks of line or paragraph: databases refuse some of them, and a name
# is one line.
UNKEPT = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Marks that turn the direction of all that follows, also of what a page writes beside the name. A single letter's mark
# (U+200E, U+200F) is harmless.
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_text(
    what: str, text: object, *, limit: int = TEXT_LIMIT, empty: bool = False, error: type[HeadroomError] = ScenarioError
) -> str:
    """The text without blanks around it. `what` names it in the error that is raised where it is no text, too long,
    unprintable, or empty and may not be.
    """
    if not isinstance(text, str):
        raise error(
            f"The {what} is {excerpt(repr(text))}.", cause="another type was sent", remedy=f"send the {what} as text"
        )
    text = text.strip()
    if len(text) > limit:
        raise error(
            f"The {what} {excerpt(text)!r} is longer than {limit} characters.",
            cause="a text was pasted into the wrong field",
            remedy="shorten it",
        )
    odd = next((ch for ch in text if ch in TURNING or unicodedata.category(ch) in UNKEPT), None)
    if odd is not None:
        raise error(
            f"The {what} {excerpt(text)!r} holds the character U+{ord(odd):04X}, which is no part of a text of one line.",
            cause="it was copied together with invisible characters",
            remedy="type it anew",
        )
    if not empty and not any(ch.isprintable() and not ch.isspace() for ch in text):
        raise error(
            f"The {what} is empty.",
            cause="nothing that can be seen was typed",
            remedy=f"give a {what} of 1 to {limit} characters",
        )
    return text

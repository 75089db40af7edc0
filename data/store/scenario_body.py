"""What a scenario may hold: plain JSON, small, finite, with changes of a known kind. Checked before it is kept and
after it is read from a file.
"""

from __future__ import annotations

import json
import math
from typing import Any

from data.schema.errors import ScenarioError
from data.schema.validation import excerpt

Body = dict[str, Any]
KINDS: tuple[str, ...] = (
    "growth",
    "event",
    "bitrate",
    "add_site",
    "close_site",
    "add_capacity",
    "move_augment",
    "limit",
)
KEYS = frozenset({"changes", "policy"})
# A change takes about a hundred bytes: this is more than a person makes by hand, and still fits a list of hundreds of
# scenarios in memory.
BODY_BYTES = 64 * 1024
CHANGES = 200
# A change holds a list of hours at most: {body: [changes: {change: [list: {hours ...
DEPTH = 8
# Values of one body. Counted while it is walked, so that a small object that holds itself many times over ends soon.
VALUES = 20_000
# Beyond this a browser's numbers skip integers.
WHOLE_LIMIT = 2**53
# An export of a whole team's scenarios.
FILE_BYTES = 16 * 1024 * 1024


def packed(body: object) -> str:
    """A body as compact JSON in ASCII. Raises ScenarioError, naming the place, where it is not one."""
    _check_shape(body)
    _walk(body, "body", 1, [0])
    text = json.dumps(body, separators=(",", ":"), allow_nan=False)
    if len(text) > BODY_BYTES:
        raise _bad(
            f"it takes {len(text):,} bytes, and may take {BODY_BYTES:,}",
            "hundreds of changes, or a long list in one",
            "split it in two scenarios",
        )
    return text


def packed_policy(policy: object) -> str:
    """The policy of a plan as compact JSON, under the same rules as a body's."""
    return packed({"changes": [], "policy": policy}).removeprefix('{"changes":[],"policy":').removesuffix("}")


def parsed(text: str | bytes) -> Any:
    """The JSON of an imported file; ScenarioError where it is none, or holds what JSON does not have (NaN,
    Infinity).
    """
    if len(text) > FILE_BYTES:
        raise ScenarioError(
            f"The file has {len(text):,} bytes, and may have {FILE_BYTES:,}.",
            cause="it is another file",
            remedy="choose an exported one",
        )
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ScenarioError(
            f"The file cannot be read as JSON: {excerpt(error)}.",
            cause="it is another file, or was cut or edited",
            remedy="export the scenario anew",
        ) from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")


def _check_shape(body: object) -> None:
    """Changes with their kinds, and a policy."""
    if not isinstance(body, dict) or set(body) != KEYS:
        keys = excerpt(", ".join(map(str, body)) if isinstance(body, dict) else type(body).__name__)
        raise _bad(
            f"it holds {keys or 'nothing'}, not changes and policy",
            "another version, or another file",
            'send {"changes": [...], "policy": {...}}',
        )
    changes, policy = body["changes"], body["policy"]
    if not isinstance(changes, list) or not isinstance(policy, dict):
        raise _bad(
            "changes is no list, or policy no object",
            "another version, or another file",
            'send {"changes": [...], "policy": {...}}',
        )
    if len(changes) > CHANGES:
        raise _bad(
            f"it makes {len(changes)} changes, and may make {CHANGES}",
            "a plan was put in as changes",
            "put augments into the capacity table",
        )
    for place, change in enumerate(changes):
        kind = change.get("kind") if isinstance(change, dict) else None
        if kind not in KINDS:
            raise _bad(
                f"changes[{place}] is of the kind {excerpt(kind)!r}",
                "a newer version, or a typing error",
                f"use one of {', '.join(KINDS)}",
            )


def _walk(value: object, place: str, depth: int, seen: list[int]) -> None:
    """Every value is of JSON and finite; neither too deep nor too many."""
    seen[0] += 1
    if depth > DEPTH or seen[0] > VALUES:
        bound = f"{DEPTH} levels" if depth > DEPTH else f"{VALUES:,} values"
        raise _bad(
            f"{excerpt(place)} passes {bound}",
            "an object was put into itself, or a table into a change",
            "keep changes flat",
        )
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _bad(
                    f"{excerpt(place)} has the key {excerpt(repr(key))}",
                    "a number or a tuple as key",
                    "use text as keys",
                )
            _walk(item, f"{place}.{key}", depth + 1, seen)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _walk(item, f"{place}[{number}]", depth + 1, seen)
    elif not _is_plain(value):
        raise _bad(
            f"{excerpt(place)} is {_said(value)}",
            "a result of a division by zero, or an object of a library",
            "use text, finite numbers up to 2^53, true, false or null; write moments as ISO 8601",
        )


def _said(value: object) -> str:
    """A value in a message; Python does not write out an integer of thousands of digits."""
    return "an integer beyond 2^53" if isinstance(value, int) else excerpt(repr(value))


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) <= WHOLE_LIMIT
    return value is None or isinstance(value, str)


def _bad(problem: str, cause: str, remedy: str) -> ScenarioError:
    return ScenarioError(f"The scenario cannot be kept: {problem}.", cause=cause, remedy=remedy)

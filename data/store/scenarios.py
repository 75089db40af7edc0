"""Named scenarios: kept with every revision, so that nobody's work is lost, neither to a deletion nor to a colleague
who saved first; and what a scenario may hold: plain JSON, small, finite, with changes of a known kind, checked before it
is kept and after it is read from a file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, insert, select, update

from data.lake.tables import Lake
from data.schema import TEXT_LIMIT
from data.schema.errors import ConflictError, ScenarioError
from data.schema.validation import clean_text, excerpt
from data.store.database import REVISIONS, SCENARIOS, Store, absent, checked_id, new_id

Action = Literal["created", "saved", "renamed", "duplicated", "imported", "deleted", "restored"]
FORMAT, FORMAT_VERSION = "headroom-scenarios", 1
# A lake's address is a path or a URL; longer ones exist on no system.
URL_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario as it stands. `body` holds changes and policy; `run_id` is the run that it was made on; stamps are
    UTC; `deleted` is null while it lives.
    """

    id: str
    name: str
    author: str
    created: datetime
    updated: datetime
    updated_by: str
    revision: int
    lake: str
    run_id: str | None
    body: Body
    deleted: datetime | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """One state that a scenario had, what made it so, who, and when."""

    scenario_id: str
    revision: int
    action: Action
    author: str
    at: datetime
    name: str
    run_id: str | None
    body: Body


@dataclass(frozen=True, slots=True)
class Scenarios:
    """The scenarios of a store.

    Whoever changes one names the revision that they saw; where it is no longer the newest, ConflictError carries theirs
    and the one that stands. StoreError where there is no such scenario or the store fails, ScenarioError where a name
    or a body cannot be kept. An author may be empty.
    """

    store: Store

    # Reading
    # -----------------------------------------------------------------------------------------------------------

    def listed(self, lake: str | None = None, *, deleted: bool = False) -> list[Scenario]:
        """All scenarios, of one lake or of all, newest change first; with `deleted`, those that can be restored
        instead.
        """
        wanted = select(SCENARIOS).where(SCENARIOS.c.deleted.is_not(None) if deleted else SCENARIOS.c.deleted.is_(None))
        if lake is not None:
            wanted = wanted.where(SCENARIOS.c.lake == Lake(lake).url)
        with self.store.reading() as connection:
            return [
                _scenario(row)
                for row in connection.execute(wanted.order_by(SCENARIOS.c.updated.desc(), SCENARIOS.c.id)).mappings()
            ]

    def get(self, scenario_id: str) -> Scenario:
        """One scenario, a deleted one too."""
        with self.store.reading() as connection:
            return _held(connection, scenario_id)

    def history(self, scenario_id: str) -> list[Revision]:
        """Every state that it had, newest first. An earlier one is taken back by saving its body."""
        wanted = (
            select(REVISIONS).where(REVISIONS.c.scenario_id == _id(scenario_id)).order_by(REVISIONS.c.revision.desc())
        )
        with self.store.reading() as connection:
            _held(connection, scenario_id)
            return [
                Revision(**{**row, "body": json.loads(row["body"])}) for row in connection.execute(wanted).mappings()
            ]

    # Writing
    # -----------------------------------------------------------------------------------------------------------

    def create(self, name: str, body: Body, *, lake: str, author: str = "", run_id: str | None = None) -> Scenario:
        """Keep a new scenario. Names need not be unique."""
        return self._added("created", [_fresh(name, packed(body), lake, author, run_id)])[0]

    def save(
        self, scenario_id: str, revision: int, body: Body, *, author: str = "", run_id: str | None = None
    ) -> Scenario:
        """Replace the body and, where it is named, the run that it was made on; returns the scenario at its next
        revision.
        """
        values = {"body": packed(body)} | ({} if run_id is None else {"run_id": _checked_run(run_id)})
        return self._changed(scenario_id, "saved", author, revision, values)

    def rename(self, scenario_id: str, revision: int, name: str, *, author: str = "") -> Scenario:
        """Give another name."""
        return self._changed(scenario_id, "renamed", author, revision, {"name": clean_text("name", name)})

    def duplicate(self, scenario_id: str, *, name: str | None = None, author: str = "") -> Scenario:
        """A new scenario with the same body."""
        scenario = self.get(scenario_id)
        called = f"{scenario.name[: TEXT_LIMIT - 7]} (copy)" if name is None else name
        return self._added(
            "duplicated", [_fresh(called, packed(scenario.body), scenario.lake, author, scenario.run_id)]
        )[0]

    def delete(self, scenario_id: str, *, author: str = "") -> Scenario:
        """Take out of the list; it can be restored. Deleting what is deleted changes nothing."""
        return self._shown(scenario_id, "deleted", author, datetime.now(UTC))

    def restore(self, scenario_id: str, *, author: str = "") -> Scenario:
        """Put back into the list."""
        return self._shown(scenario_id, "restored", author, None)

    # Files
    # -------------------------------------------------------------------------------------------------------------

    def exported(self, scenario_ids: Sequence[str]) -> str:
        """Scenarios as a JSON file."""
        scenarios = [self.get(scenario_id) for scenario_id in scenario_ids]
        listed = [
            {
                "name": s.name,
                "author": s.author,
                "updated": s.updated.isoformat(),
                "lake": s.lake,
                "run_id": s.run_id,
                "body": s.body,
            }
            for s in scenarios
        ]
        return json.dumps({"format": FORMAT, "version": FORMAT_VERSION, "scenarios": listed}, indent=2, allow_nan=False)

    def imported(
        self, text: str | bytes, *, lake: str, author: str = "", check: Callable[[Body], object] | None = None
    ) -> list[Scenario]:
        """Keep the scenarios of an exported file as new ones of this lake: all of them, or, where one cannot be kept,
        none.

        `check` reads each body first, and raises where the program that asks cannot.
        """
        rows = [
            _fresh(entry.get("name"), packed(entry.get("body")), lake, author, entry.get("run_id"))
            for entry in _in_file(parsed(text))
        ]
        for row in rows:
            if check is not None:
                check(json.loads(row["body"]))
        return self._added("imported", rows)

    # Transactions
    # ------------------------------------------------------------------------------------------------------

    def _added(self, action: Action, rows: Sequence[dict[str, Any]]) -> list[Scenario]:
        with self.store.writing() as connection:
            for row in rows:
                connection.execute(insert(SCENARIOS).values(row))
            return [_noted(connection, row["id"], action) for row in rows]

    def _changed(
        self, scenario_id: str, action: Action, author: str, revision: int, values: Mapping[str, Any]
    ) -> Scenario:
        """Change the scenario if it lives and is at this revision."""
        is_current = (
            (SCENARIOS.c.id == _id(scenario_id)) & (SCENARIOS.c.revision == revision) & SCENARIOS.c.deleted.is_(None)
        )
        statement = update(SCENARIOS).where(is_current).values(**values, **_step(author))
        with self.store.writing() as connection:
            if connection.execute(statement).rowcount:
                return _noted(connection, scenario_id, action)
            raise _conflict(_held(connection, scenario_id), revision, values)

    def _shown(self, scenario_id: str, action: Action, author: str, deleted: datetime | None) -> Scenario:
        """Delete or restore, whatever the revision: neither loses anything. The revision moves on, so that whoever is
        editing is told.
        """
        other = SCENARIOS.c.deleted.is_(None) if deleted else SCENARIOS.c.deleted.is_not(None)
        statement = (
            update(SCENARIOS)
            .where((SCENARIOS.c.id == _id(scenario_id)) & other)
            .values(deleted=deleted, **_step(author))
        )
        with self.store.writing() as connection:
            done = connection.execute(statement).rowcount
            return _noted(connection, scenario_id, action) if done else _held(connection, scenario_id)


def _fresh(name: object, body: str, lake: str, author: str, run_id: str | None) -> dict[str, Any]:
    """The row of a new scenario."""
    now, writer = datetime.now(UTC), _checked_author(author)
    where = Lake(clean_text("lake", lake, limit=URL_LIMIT)).url
    about = {
        "id": new_id(),
        "name": clean_text("name", name),
        "author": writer,
        "updated_by": writer,
        "created": now,
        "updated": now,
    }
    return {**about, "revision": 1, "lake": where, "run_id": _checked_run(run_id), "body": body}


def _step(author: str) -> dict[str, Any]:
    """Values that every change sets."""
    return {"revision": SCENARIOS.c.revision + 1, "updated": datetime.now(UTC), "updated_by": _checked_author(author)}


def _checked_author(author: str) -> str:
    return clean_text("author", author, empty=True)


def _checked_run(run_id: object) -> str | None:
    return None if run_id is None else clean_text("run", run_id)


def _id(given: object) -> str:
    return checked_id("scenario", given)


def _held(connection: Connection, scenario_id: str) -> Scenario:
    row = connection.execute(select(SCENARIOS).where(SCENARIOS.c.id == _id(scenario_id))).mappings().one_or_none()
    if row is None:
        raise absent("scenario", scenario_id)
    return _scenario(row)


def _noted(connection: Connection, scenario_id: str, action: Action) -> Scenario:
    """The scenario as it now stands, after it was put into the history."""
    now = _held(connection, scenario_id)
    state = {"name": now.name, "run_id": now.run_id, "body": packed(now.body)}
    connection.execute(
        insert(REVISIONS).values(
            scenario_id=now.id, revision=now.revision, action=action, author=now.updated_by, at=now.updated, **state
        )
    )
    return now


def _scenario(row: RowMapping) -> Scenario:
    return Scenario(**{**row, "body": json.loads(row["body"])})


def _conflict(now: Scenario, revision: int, values: Mapping[str, Any]) -> ConflictError:
    """ConflictError with what the caller wanted, and what stands there."""
    yours = {name: json.loads(value) if name == "body" else value for name, value in values.items()}
    did = "deleted" if now.deleted else "changed"
    return ConflictError(
        f"The scenario {excerpt(now.name)!r} is at revision {now.revision}, and you saw revision {revision}.",
        yours=yours,
        theirs=now,
        cause=f"{excerpt(now.updated_by) or 'somebody else'} {did} it at {now.updated:%Y-%m-%d %H:%M:%S} UTC",
        remedy="compare both, then save over the newest, or keep yours under another name",
    )


def _in_file(content: Any) -> list[dict[str, Any]]:
    """The scenarios of a parsed file."""
    listed = content.get("scenarios") if isinstance(content, dict) and content.get("format") == FORMAT else None
    if not isinstance(listed, list) or not listed or not all(isinstance(entry, dict) for entry in listed):
        raise ScenarioError(
            "The file holds no scenarios.",
            cause="it is another file",
            remedy=f"choose an exported one, whose format is {FORMAT!r}",
        )
    if content.get("version") != FORMAT_VERSION:
        raise ScenarioError(
            f"The file is of version {excerpt(content.get('version'))}; this program reads version {FORMAT_VERSION}.",
            cause="another version of Headroom exported it",
            remedy="import it there",
        )
    return listed


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

"""Named scenarios: kept with every revision, so that nobody's work is lost, neither to a deletion nor to a colleague
who saved first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, insert, select, update

from data.lake.tables import Lake
from data.schema import TEXT_LIMIT
from data.schema.errors import ConflictError, ScenarioError
from data.schema.text_rules import clean_text
from data.schema.validation import excerpt
from data.store.database import REVISIONS, SCENARIOS, Store, absent, checked_id, new_id
from data.store.scenario_body import Body, packed, parsed

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
    """What every change sets."""
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
    """What the caller wanted, and what stands there."""
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

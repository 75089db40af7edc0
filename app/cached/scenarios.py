"""Named scenarios of the lake that is shown. Nothing of them is kept: colleagues save meanwhile, so every look reads
the store anew.

Every function raises HeadroomError where the store cannot be used; those that change something ConflictError where
somebody else did first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from app.cached import Pin, Scope, latest_run
from app.cached.planning import PlanQuery, RunOut, ScenarioResult, cost, plan_result
from app.cached.stores import store_of
from data.schema import Direction
from data.schema.errors import HeadroomError
from data.store import Scenario, Scenarios
from data.store.scenarios import Body
from forecasting.planning.capacity import Policy
from forecasting.planning.whatif import Limit, compare_scenarios, from_body, from_text, to_body, to_text

__all__ = [
    "Body",
    "Scenario",
    "ScenarioComparison",
    "body_of",
    "create",
    "delete",
    "duplicate",
    "exported",
    "get",
    "imported",
    "listed",
    "query_of",
    "rename",
    "restore",
    "save",
    "side_by_side",
]


# What a scenario holds
# ----------------------------------------------------------------------------------------------------


def body_of(query: PlanQuery) -> Body:
    """The changes and the policy of a query, as a scenario keeps them."""
    return to_body(
        from_text(query.changes) if query.changes else [],
        Policy(query.statistic, query.limit, planned=query.planned),
    )


def query_of(body: Body, direction: Direction, least: float) -> PlanQuery:
    """What a scenario asks. Limits of single sites, and one below `least`, which the page does not offer, come as its
    first changes.
    """
    changes, policy = from_body(body)
    limits = [Limit(share, site) for site, share in policy.limits.items()]
    own = [Limit(policy.limit)] if policy.limit < least else []
    every = [*own, *limits, *changes]
    return PlanQuery(
        direction, policy.statistic, max(policy.limit, least), policy.planned, to_text(every) if every else ""
    )


class ScenarioComparison(NamedTuple):
    """Queries side by side: whatif.compare_scenarios of them, when each stops being N-1 safe, and why those that cannot
    be answered cannot.
    """

    rows: pd.DataFrame
    safe_until: dict[str, RunOut]
    refused: dict[str, str]


def side_by_side(pin: Pin, scope: Scope, queries: Mapping[str, PlanQuery]) -> ScenarioComparison | None:
    """The answers to queries by name, the first of them the base; None where there are no futures of sites."""
    results, refused = dict[str, ScenarioResult](), dict[str, str]()
    for name, query in queries.items():
        try:
            result = plan_result(pin, scope, query)
        except HeadroomError as error:
            refused[name] = str(error)
            continue
        if result is None:
            return None
        results[name] = replace(result, cost_usd=cost(pin, scope, query))
    safe_until = {name: result.safe_until for name, result in results.items()}
    return ScenarioComparison(compare_scenarios(results), safe_until, refused)


# Reading
# ------------------------------------------------------------------------------------------------------------------


def listed(pin: Pin, *, deleted: bool = False) -> list[Scenario]:
    """The scenarios of this lake, newest change first; with `deleted`, those that can be restored instead."""
    with _scenarios(pin) as scenarios:
        return scenarios.listed(pin.url, deleted=deleted)


def get(pin: Pin, scenario_id: str) -> Scenario:
    """One scenario, a deleted one too."""
    with _scenarios(pin) as scenarios:
        return scenarios.get(scenario_id)


def exported(pin: Pin, scenario_ids: Sequence[str]) -> bytes:
    """Scenarios as a file."""
    with _scenarios(pin) as scenarios:
        return scenarios.exported(scenario_ids).encode()


# Writing
# ------------------------------------------------------------------------------------------------------------------


def create(pin: Pin, scope: Scope, name: str, body: Body, author: str) -> Scenario:
    """Keep a new scenario, made on the newest run."""
    with _scenarios(pin) as scenarios:
        return scenarios.create(name, body, lake=pin.url, author=author, run_id=_run(pin, scope))


def save(pin: Pin, scope: Scope, scenario_id: str, revision: int, body: Body, author: str) -> Scenario:
    """Replace what the scenario holds, if it still is at this revision."""
    with _scenarios(pin) as scenarios:
        return scenarios.save(scenario_id, revision, body, author=author, run_id=_run(pin, scope))


def rename(pin: Pin, scenario_id: str, revision: int, name: str, author: str) -> Scenario:
    """Give another name, if it still is at this revision."""
    with _scenarios(pin) as scenarios:
        return scenarios.rename(scenario_id, revision, name, author=author)


def duplicate(pin: Pin, scenario_id: str, author: str) -> Scenario:
    """A copy under a name of its own."""
    with _scenarios(pin) as scenarios:
        return scenarios.duplicate(scenario_id, author=author)


def delete(pin: Pin, scenario_id: str, author: str) -> Scenario:
    """Take out of the list; it can be restored."""
    with _scenarios(pin) as scenarios:
        return scenarios.delete(scenario_id, author=author)


def restore(pin: Pin, scenario_id: str, author: str) -> Scenario:
    """Put back into the list."""
    with _scenarios(pin) as scenarios:
        return scenarios.restore(scenario_id, author=author)


def imported(pin: Pin, file: bytes, author: str) -> list[Scenario]:
    """Keep the scenarios of an exported file: all of them, or none where one cannot be read."""
    with _scenarios(pin) as scenarios:
        return scenarios.imported(file, lake=pin.url, author=author, check=from_body)


def _run(pin: Pin, scope: Scope) -> str | None:
    run = latest_run(pin, scope)
    return None if run is None else run.run_id


@contextmanager
def _scenarios(pin: Pin) -> Iterator[Scenarios]:
    """The scenarios in the store of a lake."""
    with store_of(pin) as store:
        yield Scenarios(store)

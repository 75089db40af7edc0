"""Scenarios: kept, changed by several people, taken back, exported; and what cannot be kept."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schema.errors import ConflictError, ScenarioError, StoreError
from data.store import Scenario, Scenarios, Store
from data.store.scenarios import BODY_BYTES, KINDS, packed

BODY = {"changes": [{"kind": "growth", "metric": "egress_gbps", "factor": 1.2}], "policy": {"limit": 0.8}}


def other(factor: float) -> dict[str, Any]:
    return {"changes": [{"kind": "growth", "factor": factor}], "policy": {}}


def created(store: Store, name: str = "Growth", lake: str = "/lake") -> Scenario:
    return Scenarios(store).create(name, BODY, lake=lake, author="Ada", run_id="r1")


# Keeping
# -------------------------------------------------------------------------------------------------------------------


def test_what_is_kept_comes_back(store: Store) -> None:
    before = datetime.now(UTC)
    made = created(store)
    assert Scenarios(store).get(made.id) == made
    assert (made.name, made.author, made.updated_by, made.revision, made.lake, made.run_id) == (
        "Growth",
        "Ada",
        "Ada",
        1,
        "/lake",
        "r1",
    )
    assert made.body == BODY
    assert made.deleted is None
    assert before <= made.created == made.updated <= datetime.now(UTC)
    assert made.created.utcoffset() is not None


def test_the_list_is_of_one_lake_and_newest_first(store: Store) -> None:
    scenarios = Scenarios(store)
    first, second, elsewhere = (
        created(store, "One"),
        created(store, "Two"),
        created(store, "Three", lake="s3://other/lake"),
    )
    assert [one.id for one in scenarios.listed("/lake/")] == [second.id, first.id]
    assert [one.id for one in scenarios.listed()] == [elsewhere.id, second.id, first.id]
    scenarios.save(first.id, 1, other(2.0))
    assert [one.id for one in scenarios.listed("/lake")] == [first.id, second.id]


def test_every_state_stays_in_the_history(store: Store) -> None:
    scenarios = Scenarios(store)
    made = created(store)
    scenarios.save(made.id, 1, other(2.0), author="Grace", run_id="r2")
    scenarios.rename(made.id, 2, "Fast growth", author="Ada")
    scenarios.delete(made.id, author="Grace")
    last = scenarios.restore(made.id, author="Ada")
    history = scenarios.history(made.id)
    assert [(h.revision, h.action, h.author) for h in history] == [
        (5, "restored", "Ada"),
        (4, "deleted", "Grace"),
        (3, "renamed", "Ada"),
        (2, "saved", "Grace"),
        (1, "created", "Ada"),
    ]
    assert [h.name for h in history] == ["Fast growth"] * 3 + ["Growth"] * 2
    assert [h.run_id for h in history] == ["r2"] * 4 + ["r1"]
    assert history[-1].body == BODY
    again = scenarios.save(made.id, last.revision, history[-1].body)
    assert (again.body, again.revision) == (BODY, 6)


def test_a_deleted_scenario_can_be_restored(store: Store) -> None:
    scenarios = Scenarios(store)
    made = created(store)
    gone = scenarios.delete(made.id)
    assert gone.deleted is not None
    assert scenarios.delete(made.id) == gone
    assert scenarios.listed() == []
    assert scenarios.listed(deleted=True) == [gone]
    back = scenarios.restore(made.id)
    assert (back.deleted, back.body, back.revision) == (None, BODY, 3)
    assert scenarios.restore(made.id) == back
    assert scenarios.listed() == [back]


def test_a_duplicate_goes_its_own_way(store: Store) -> None:
    scenarios = Scenarios(store)
    made = created(store, "x" * 200)
    copy = scenarios.duplicate(made.id, author="Grace")
    assert copy.id != made.id
    assert (copy.name, copy.author, copy.body, copy.run_id) == ("x" * 193 + " (copy)", "Grace", BODY, "r1")
    scenarios.save(copy.id, 1, other(3.0))
    assert scenarios.get(made.id) == made
    assert scenarios.duplicate(made.id, name="Mine").name == "Mine"


def test_an_exported_file_can_be_imported(store: Store) -> None:
    scenarios = Scenarios(store)
    made = [created(store, "One"), created(store, "Zwei ü 中文")]
    scenarios.delete(made[0].id)
    text = scenarios.exported([one.id for one in made])
    found = scenarios.imported(text.encode(), lake="/other", author="Grace")
    assert [(s.name, s.body, s.run_id, s.lake, s.author, s.revision, s.deleted) for s in found] == [
        (name, BODY, "r1", "/other", "Grace", 1, None) for name in ("One", "Zwei ü 中文")
    ]
    assert {one.id for one in found}.isdisjoint(one.id for one in made)
    assert scenarios.history(found[0].id)[0].action == "imported"


def test_a_file_with_one_bad_scenario_brings_none(store: Store) -> None:
    scenarios = Scenarios(store)
    file = json.loads(scenarios.exported([created(store).id]))
    file["scenarios"].append({**file["scenarios"][0], "name": ""})
    with pytest.raises(ScenarioError, match="The name is empty"):
        scenarios.imported(json.dumps(file), lake="/other")
    assert scenarios.listed("/other") == []


def test_a_file_is_checked_by_whoever_is_to_read_it_before_any_is_kept(store: Store) -> None:
    scenarios = Scenarios(store)
    text = scenarios.exported([created(store).id, created(store).id])
    seen: list[Any] = []
    scenarios.imported(text, lake="/seen", check=seen.append)
    assert seen == [BODY, BODY]

    def refuse(body: Any) -> None:
        raise ScenarioError(f"{body['policy']} is not for us")

    with pytest.raises(ScenarioError, match="is not for us"):
        scenarios.imported(text, lake="/other", check=refuse)
    assert scenarios.listed("/other") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "cannot be read as JSON"),
        (b"\xff\xfe\x00", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("1" * 10_000, "cannot be read as JSON|holds no scenarios"),
        (
            '{"format": "headroom-scenarios", "version": 1, "scenarios": [{"name": "a", "body": {"changes": [], "policy": {"limit": NaN}}}]}',
            "NaN is no number",
        ),
        ("[]", "holds no scenarios"),
        ('{"format": "headroom-scenarios", "version": 1, "scenarios": []}', "holds no scenarios"),
        (
            '{"format": "headroom-scenarios", "version": 2, "scenarios": [{}]}',
            "is of version 2; this program reads version 1",
        ),
        (
            '{"format": "headroom-scenarios", "version": 1, "scenarios": [{"name": "a"}]}',
            "it holds NoneType, not changes and policy",
        ),
        (" " * (16 * 1024 * 1024 + 1), "has 16,777,217 bytes, and may have 16,777,216"),
    ],
)
def test_a_file_that_is_no_export_is_refused(store: Store, text: str | bytes, found: str) -> None:
    with pytest.raises(ScenarioError, match=found):
        Scenarios(store).imported(text, lake="/lake")


# Several people
# ------------------------------------------------------------------------------------------------------------


def test_who_saves_second_is_shown_both(store: Store) -> None:
    scenarios = Scenarios(store)
    made = created(store)
    theirs = scenarios.save(made.id, 1, other(2.0), author="Grace")
    with pytest.raises(
        ConflictError,
        match=r"'Growth' is at revision 2, and you saw revision 1.*Grace changed it at .* UTC.*keep yours under another",
    ) as met:
        scenarios.save(made.id, 1, other(3.0), author="Ada")
    assert met.value.theirs == theirs == scenarios.get(made.id)
    assert met.value.yours == {"body": other(3.0)}
    assert theirs.run_id == "r1"
    with pytest.raises(ConflictError) as met:
        scenarios.rename(made.id, 1, "Other")
    assert met.value.yours == {"name": "Other"}
    assert len(scenarios.history(made.id)) == 2


@pytest.mark.parametrize("revision", [1, 2])
def test_a_deleted_scenario_is_not_written_to(store: Store, revision: int) -> None:
    scenarios = Scenarios(store)
    made = created(store)
    scenarios.delete(made.id, author="Grace")
    with pytest.raises(ConflictError, match=r"Grace deleted it at"):
        scenarios.save(made.id, revision, other(3.0))
    assert scenarios.restore(made.id).body == BODY


def test_threads_that_write_one_scenario_lose_nothing(store: Store) -> None:
    scenarios = Scenarios(store)
    made = scenarios.create("Shared", {"changes": [], "policy": {}}, lake="/lake")

    def add(who: int) -> None:
        seen = made
        while True:
            try:
                scenarios.save(
                    made.id,
                    seen.revision,
                    {**seen.body, "changes": [*seen.body["changes"], {"kind": "limit", "who": who}]},
                )
                break
            except ConflictError as conflict:
                seen = conflict.theirs

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    kept = scenarios.get(made.id)
    assert sorted(change["who"] for change in kept.body["changes"]) == list(range(24))
    assert kept.revision == 25
    assert [len(h.body["changes"]) for h in scenarios.history(made.id)] == list(range(24, -1, -1))


# What may be kept
# ----------------------------------------------------------------------------------------------------------

HARMLESS = [
    '"><script>alert(1)</script>',
    "'; DROP TABLE scenarios; --",
    "=cmd()",
    "مرحبا\u200f العالم",
    "\u200eLTR",
    "ü 中文 👩‍🚀",
    "%s {0} $name",
    "a" * 200,
]


@pytest.mark.parametrize("name", HARMLESS)
def test_a_hostile_name_is_kept_as_text(store: Store, name: str) -> None:
    scenarios = Scenarios(store)
    body = {"changes": [{"kind": "event", "title": name + "\x00\ud800"}], "policy": {name: name}}
    made = scenarios.create(name, body, lake="/lake", author=name)
    assert (made.name, made.author, made.body) == (name, name, body)
    assert scenarios.listed() == [made]
    assert scenarios.imported(scenarios.exported([made.id]), lake="/lake")[0].body == body


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("", r"The name is empty.*1 to 200 characters"),
        (" \t ", r"The name is empty"),
        ("\u200b\u200d", r"The name is empty"),
        ("x" * 10_000, r"is longer than 200 characters.*shorten it"),
        ("a\x00b", r"holds the character U\+0000"),
        ("a\nb", r"holds the character U\+000A"),
        ("a\u202egpj.exe", r"holds the character U\+202E"),
        ("\ud800", r"holds the character U\+D800"),
        (None, r"The name is None"),
        (7, r"The name is 7"),
    ],
)
def test_a_name_that_cannot_be_kept_is_refused(store: Store, name: Any, found: str) -> None:
    scenarios = Scenarios(store)
    made = created(store)
    with pytest.raises(ScenarioError, match=found) as refused:
        scenarios.create(name, BODY, lake="/lake")
    assert len(str(refused.value)) < 400
    with pytest.raises(ScenarioError, match=found):
        scenarios.rename(made.id, 1, name)
    assert scenarios.listed() == [made]


@pytest.mark.parametrize("scenario_id", ["", "nothing", "0" * 16, "x" * 10_000, "a\x00", "\ud800", None, 7])
def test_an_unknown_scenario_is_named(store: Store, scenario_id: Any) -> None:
    scenarios = Scenarios(store)
    actions = (
        scenarios.get,
        scenarios.history,
        scenarios.duplicate,
        scenarios.delete,
        scenarios.restore,
        lambda one: scenarios.save(one, 1, BODY),
    )
    for action in actions:
        with pytest.raises(StoreError, match=r"There is no scenario .*choose a scenario from the list") as refused:
            action(scenario_id)
        assert len(str(refused.value)) < 400


def deep(levels: int) -> Any:
    return {"changes": [], "policy": {"x": 1.0}} if levels == 0 else {"changes": [], "policy": {"x": deep(levels - 1)}}


def many(width: int, levels: int) -> list[Any]:
    """A list that holds width ** levels values and hardly any memory."""
    held: list[Any] = [0] * width
    for _ in range(levels - 1):
        held = [held] * width
    return held


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (None, "it holds NoneType, not changes and policy"),
        ({}, "it holds nothing, not changes and policy"),
        ({"changes": []}, "it holds changes, not changes and policy"),
        ({"changes": [], "policy": {}, "more": 1}, "it holds changes, policy, more"),
        ({"changes": {}, "policy": {}}, "changes is no list"),
        ({"changes": [], "policy": []}, "policy no object"),
        (
            {"changes": [{"kind": "grow"}], "policy": {}},
            r"changes\[0\] is of the kind 'grow'.*use one of growth, event",
        ),
        ({"changes": [{"kind": ["growth"]}], "policy": {}}, r"changes\[0\] is of the kind"),
        ({"changes": ["growth"], "policy": {}}, r"changes\[0\] is of the kind 'None'"),
        ({"changes": [{"kind": "limit"}] * 201, "policy": {}}, "it makes 201 changes, and may make 200"),
        ({"changes": [{"kind": "limit", "x": float("nan")}], "policy": {}}, r"body.changes\[0\].x is nan"),
        ({"changes": [], "policy": {"x": float("inf")}}, "body.policy.x is inf"),
        ({"changes": [], "policy": {"x": 2**53 + 1}}, "body.policy.x is an integer beyond"),
        ({"changes": [], "policy": {"x": 10**5000}}, "body.policy.x is an integer beyond"),
        ({"changes": [], "policy": {"x": datetime(2026, 1, 1, tzinfo=UTC)}}, "body.policy.x is datetime.*ISO 8601"),
        ({"changes": [], "policy": {1: 2}}, "body.policy has the key 1"),
        ({"changes": [], "policy": {"x": "y" * BODY_BYTES}}, "it takes 65,5.. bytes, and may take 65,536"),
        ({"changes": [], "policy": {"x": "\x00" * (BODY_BYTES // 5)}}, "it takes 78,.* bytes"),
        (deep(10), "passes 8 levels"),
        ({"changes": [], "policy": {"x": LOOP}}, "passes 8 levels"),
        ({"changes": [], "policy": {"x": many(100, 5)}}, "passes 20,000 values"),
    ],
)
def test_a_body_that_cannot_be_kept_is_refused(body: Any, found: str) -> None:
    with pytest.raises(ScenarioError, match=found) as refused:
        packed(body)
    assert len(str(refused.value)) < 600


leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
changes = st.builds(
    lambda kind, more: {**more, "kind": kind},
    st.sampled_from(KINDS),
    st.dictionaries(st.text(max_size=8), leaves, max_size=4),
)


@settings(max_examples=25)
@given(
    body=st.fixed_dictionaries(
        {"changes": st.lists(changes, max_size=4), "policy": st.dictionaries(st.text(max_size=5), values, max_size=3)}
    )
)
def test_a_body_that_is_kept_comes_back_to_the_last_bit(body: Any) -> None:
    try:
        text = packed(body)
    except ScenarioError as refusal:
        assert "passes 8 levels" in str(refusal)  # noqa: PT017
        return
    assert text.isascii()
    assert json.loads(text) == body

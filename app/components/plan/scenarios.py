"""Named scenarios: what the page asks is kept under a name, opened again, saved over without losing anybody's work, and
compared.
"""

from __future__ import annotations

import streamlit as st

from app import state
from app.cached import HeadroomError, scenarios
from app.cached.planning import PlanQuery
from app.cached.scenarios import Scenario
from app.components import states, writing
from app.components.author import ask_author, author
from app.components.header import Frame
from app.components.plan import scenario_compare, scenario_list, what_if
from app.components.plan.scenario_list import PLACE, described, opened, policy_words, take, when

LETTERS = 200  # of a name that is kept
_NAME = "scenario-name"


def draw(frame: Frame, asked: PlanQuery) -> None:
    """The what-if, a name to keep it under, what is kept, and scenarios side by side."""
    found = what_if.outlooks(frame, asked)
    usable = asked if found is None else found.question
    what_if.panel(frame, usable)
    try:
        held = scenarios.listed(frame.pin)
        keep(frame, asked, held)
        settle(frame)
        scenario_list.draw(frame, held)
    except HeadroomError as error:
        unusable(error)
        return
    scenario_compare.draw(frame, usable, held)


def unusable(error: HeadroomError) -> None:
    """Said where the store cannot be used; the rest of the page does without it."""
    states.nothing(
        "Scenarios cannot be kept here",
        f"{error.problem} Likely cause: {error.cause}. What mends it: {error.remedy}. What the page asks stays in its address, which can be passed on.",
        {
            "Name another place before the server starts": "export HEADROOM_STORE=sqlite:////path/to/scenarios.db   # or postgresql://USER:PASSWORD@HOST/DATABASE"
        },
        icon="database_off",
    )


# Keeping what the page asks
# ----------------------------------------------------------------------------------------------


def keep(frame: Frame, asked: PlanQuery, held: list[Scenario]) -> None:
    """Save under a name; where a scenario is open, over it."""
    writing.tell(PLACE)
    open_one = next((one for one in held if one.id == (opened() or ("", 0))[0]), None)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        with (
            st.form("scenario-save", border=False, width="content"),
            st.container(horizontal=True, vertical_alignment="bottom", gap="small"),
        ):
            st.text_input(
                "Name of the scenario",
                key=_NAME,
                max_chars=LETTERS,
                placeholder="Growth of 20 %, Tokyo closes",
                width=300,
            )
            st.form_submit_button(
                "Save as a new one", icon=":material/bookmark_add:", on_click=_create, args=(frame, asked)
            )
        ask_author()
    if open_one is not None:
        _open_line(frame, asked, open_one)


def _open_line(frame: Frame, asked: PlanQuery, one: Scenario) -> None:
    """Which scenario is open, whether the page still asks what it holds, and the button that saves over it."""
    seen = (opened() or ("", 0))[1]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f":material/bookmark: Open: **{states.plain(one.name)}**, revision {seen}; {_standing(frame, asked, one, seen)}",
            width="content",
        )
        st.button(
            "Save over it",
            key="scenario-over",
            icon=":material/save:",
            on_click=_save,
            args=(frame, asked, one.id, seen),
        )
        st.button("Close it", key="scenario-close", type="tertiary", on_click=state.update, kwargs={"scenario": None})


def _standing(frame: Frame, asked: PlanQuery, one: Scenario, seen: int) -> str:
    if one.revision != seen:
        return f"{states.plain(one.updated_by or 'somebody')} saved revision {one.revision} meanwhile"
    try:
        kept, here = (
            scenarios.body_of(scenarios.query_of(one.body, asked.direction, state.LEAST_LIMIT)),
            scenarios.body_of(asked),
        )
    except HeadroomError:
        return "it cannot be read"
    return "as kept" if kept == here else "changed here, and not saved yet"


def _create(frame: Frame, asked: PlanQuery) -> None:
    name = st.session_state[_NAME]
    made = writing.carry_out(
        PLACE,
        lambda: scenarios.create(frame.pin, frame.scope, name, scenarios.body_of(asked), author()),
        lambda one: f"Kept {one.name} as a new scenario",
    )
    if made is not None:
        st.session_state[_NAME] = ""
        _now_open(made)


def _save(frame: Frame, asked: PlanQuery, scenario_id: str, revision: int) -> None:
    _now_open(
        writing.carry_out(
            PLACE,
            lambda: scenarios.save(frame.pin, frame.scope, scenario_id, revision, scenarios.body_of(asked), author()),
            _saved,
        )
    )


def _saved(one: Scenario) -> str:
    return f"Saved {one.name}, revision {one.revision}"


def _now_open(one: Scenario | None) -> None:
    if one is not None:
        state.update(scenario=f"{one.id}.{one.revision}")


# Somebody else was first
# -------------------------------------------------------------------------------------------------


def settle(frame: Frame) -> None:
    """Both versions of a scenario that somebody else changed first, and what can be done."""
    met = writing.conflict(PLACE)
    if met is None:
        return
    theirs: Scenario = met.theirs
    did, who = "deleted" if theirs.deleted else "changed", theirs.updated_by or "Somebody else"
    with st.container(border=True, key="scenario-conflict"):
        st.markdown(f"#### :material/call_split: {states.plain(who)} {did} {states.plain(theirs.name)} before you")
        st.markdown(
            states.plain(
                f"It is at revision {theirs.revision} since {when(theirs, frame)} {frame.zone}. Yours was not written, and nothing of either is lost."
            )
        )
        if "body" not in met.yours:
            st.markdown("The list below shows how it stands; rename it there once more if you still want to.")
            st.button("Go on", key="scenario-aside", on_click=writing.set_aside, args=(PLACE,))
            return
        mine = met.yours["body"]
        st.markdown(
            f"- **Theirs:** {states.plain(_in_words(frame, theirs.body))}\n- **Yours:** {states.plain(_in_words(frame, mine))}"
        )
        with st.container(horizontal=True, gap="small"):
            label = (
                "Restore it, and save mine over it" if theirs.deleted else f"Save mine over revision {theirs.revision}"
            )
            st.button(label, key="scenario-mine", on_click=_save_mine, args=(frame, theirs, mine))
            st.button(
                "Keep mine under another name", key="scenario-both", on_click=_keep_both, args=(frame, theirs, mine)
            )
            st.button(
                "Open theirs instead",
                key="scenario-theirs",
                on_click=take,
                args=(frame, theirs),
                disabled=theirs.deleted is not None,
            )


def _in_words(frame: Frame, body: scenarios.Body) -> str:
    return f"{described(body, frame)} ({policy_words(body)})"


def _save_mine(frame: Frame, theirs: Scenario, mine: scenarios.Body) -> None:
    def act() -> Scenario:
        now = scenarios.restore(frame.pin, theirs.id, author()) if theirs.deleted else theirs
        return scenarios.save(frame.pin, frame.scope, theirs.id, now.revision, mine, author())

    _now_open(writing.carry_out(PLACE, act, _saved))


def _keep_both(frame: Frame, theirs: Scenario, mine: scenarios.Body) -> None:
    name = f"{theirs.name[: LETTERS - 7]} (mine)"
    _now_open(
        writing.carry_out(
            PLACE,
            lambda: scenarios.create(frame.pin, frame.scope, name, mine, author()),
            lambda one: f"Kept yours as {one.name}",
        )
    )

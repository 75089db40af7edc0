"""Named scenarios: what the page asks is kept under a name, opened again, saved over without losing anybody's work, and
compared.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import state, theme
from app.cached import Direction, HeadroomError, planning, scenarios
from app.cached.planning import PlanQuery
from app.cached.scenarios import Body, Scenario, ScenarioComparison
from app.ui import empty_states, export, writing
from app.ui.header import Frame
from app.ui.tables import HEADER_PX, ROW_PX, row_cards
from app.ui.writing import ask_author, author
from app.views.capacity import choices, what_if
from app.views.capacity.failures import safe_words
from app.views.capacity.run_out_charts import answer_words, comparison_rows, over_within_a_year, scenario_bars
from app.views.capacity.what_if import sentence

LETTERS = 200  # of a name that is kept
_NAME = "scenario-name"


def draw(frame: Frame, question: PlanQuery) -> None:
    """The what-if, a name to keep it under, what is kept, and scenarios side by side."""
    outlooks = what_if.outlooks(frame, question)
    usable = question if outlooks is None else outlooks.question
    what_if.panel(frame, usable)
    try:
        kept_scenarios = scenarios.listed(frame.pin)
        keep(frame, question, kept_scenarios)
        settle(frame)
        draw_list(frame, kept_scenarios)
    except HeadroomError as error:
        unusable(error)
        return
    compare(frame, usable, kept_scenarios)


def unusable(error: HeadroomError) -> None:
    """Said where the store cannot be used; the rest of the page does without it."""
    empty_states.nothing(
        "Scenarios cannot be kept here",
        f"{error.problem} Likely cause: {error.cause}. What mends it: {error.remedy}. What the page asks stays in its address, which can be passed on.",
        {
            "Name another place before the server starts": "export HEADROOM_STORE=sqlite:////path/to/scenarios.db   # or postgresql://USER:PASSWORD@HOST/DATABASE"
        },
        icon="database_off",
    )


# Keeping what the page asks
# ----------------------------------------------------------------------------------------------


def keep(frame: Frame, question: PlanQuery, kept_scenarios: list[Scenario]) -> None:
    """Save under a name; where a scenario is open, over it."""
    writing.tell(PLACE)
    open_one = next((scenario for scenario in kept_scenarios if scenario.id == (opened() or ("", 0))[0]), None)
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
                "Save as a new one", icon=":material/bookmark_add:", on_click=_create, args=(frame, question)
            )
        ask_author()
    if open_one is not None:
        _open_line(frame, question, open_one)


def _open_line(frame: Frame, question: PlanQuery, scenario: Scenario) -> None:
    """Which scenario is open, whether the page still asks what it holds, and the button that saves over it."""
    seen = (opened() or ("", 0))[1]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            f":material/bookmark: Open: **{empty_states.plain(scenario.name)}**, revision {seen}; {_standing(frame, question, scenario, seen)}",
            width="content",
        )
        st.button(
            "Save over it",
            key="scenario-over",
            icon=":material/save:",
            on_click=_save,
            args=(frame, question, scenario.id, seen),
        )
        st.button("Close it", key="scenario-close", type="tertiary", on_click=state.update, kwargs={"scenario": None})


def _standing(frame: Frame, question: PlanQuery, scenario: Scenario, seen: int) -> str:
    if scenario.revision != seen:
        return f"{empty_states.plain(scenario.updated_by or 'somebody')} saved revision {scenario.revision} meanwhile"
    try:
        saved_body, page_body = (
            scenarios.body_of(scenarios.query_of(scenario.body, question.direction, state.LEAST_LIMIT)),
            scenarios.body_of(question),
        )
    except HeadroomError:
        return "it cannot be read"
    return "as kept" if saved_body == page_body else "changed here, and not saved yet"


def _create(frame: Frame, question: PlanQuery) -> None:
    name = st.session_state[_NAME]
    made = writing.carry_out(
        PLACE,
        lambda: scenarios.create(frame.pin, frame.scope, name, scenarios.body_of(question), author()),
        lambda scenario: f"Kept {scenario.name} as a new scenario",
    )
    if made is not None:
        st.session_state[_NAME] = ""
        _now_open(made)


def _save(frame: Frame, question: PlanQuery, scenario_id: str, revision: int) -> None:
    _now_open(
        writing.carry_out(
            PLACE,
            lambda: scenarios.save(
                frame.pin, frame.scope, scenario_id, revision, scenarios.body_of(question), author()
            ),
            _saved,
        )
    )


def _saved(scenario: Scenario) -> str:
    return f"Saved {scenario.name}, revision {scenario.revision}"


def _now_open(scenario: Scenario | None) -> None:
    if scenario is not None:
        state.update(scenario=f"{scenario.id}.{scenario.revision}")


# Somebody else was first
# -------------------------------------------------------------------------------------------------


def settle(frame: Frame) -> None:
    """Both versions of a scenario that somebody else changed first, and what can be done."""
    conflict = writing.conflict(PLACE)
    if conflict is None:
        return
    theirs: Scenario = conflict.theirs
    did, who = "deleted" if theirs.deleted else "changed", theirs.updated_by or "Somebody else"
    with st.container(border=True, key="scenario-conflict"):
        st.markdown(
            f"## :material/call_split: {empty_states.plain(who)} {did} {empty_states.plain(theirs.name)} before you"
        )
        st.markdown(
            empty_states.plain(
                f"It is at revision {theirs.revision} since {when(theirs, frame)} {frame.zone}. Yours was not written, and nothing of either is lost."
            )
        )
        if "body" not in conflict.yours:
            st.markdown("The list below shows how it stands; rename it there once more if you still want to.")
            st.button("Go on", key="scenario-aside", on_click=writing.set_aside, args=(PLACE,))
            return
        own_body = conflict.yours["body"]
        st.markdown(
            f"- **Theirs:** {empty_states.plain(_in_words(frame, theirs.body))}\n- **Yours:** {empty_states.plain(_in_words(frame, own_body))}"
        )
        with st.container(horizontal=True, gap="small"):
            label = (
                "Restore it, and save mine over it" if theirs.deleted else f"Save mine over revision {theirs.revision}"
            )
            st.button(label, key="scenario-mine", on_click=_save_mine, args=(frame, theirs, own_body))
            st.button(
                "Keep mine under another name", key="scenario-both", on_click=_keep_both, args=(frame, theirs, own_body)
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


def _save_mine(frame: Frame, theirs: Scenario, own_body: scenarios.Body) -> None:
    def act() -> Scenario:
        now = scenarios.restore(frame.pin, theirs.id, author()) if theirs.deleted else theirs
        return scenarios.save(frame.pin, frame.scope, theirs.id, now.revision, own_body, author())

    _now_open(writing.carry_out(PLACE, act, _saved))


def _keep_both(frame: Frame, theirs: Scenario, own_body: scenarios.Body) -> None:
    name = f"{theirs.name[: LETTERS - 7]} (mine)"
    _now_open(
        writing.carry_out(
            PLACE,
            lambda: scenarios.create(frame.pin, frame.scope, name, own_body, author()),
            lambda scenario: f"Kept yours as {scenario.name}",
        )
    )


PLACE = "scenarios"
MOST_PX, FILE_MB = 320, 16
_CHOSEN, _ROW, _GONE, _FILES = "scenario-chosen", "scenarios.row", "scenarios.gone", "scenarios.files"
STATISTICS = {"peak": "peak of week", "p95": "weekly P95"}


def opened() -> tuple[str, int] | None:
    """The scenario that the page was opened from, at the revision that was seen."""
    scenario_id, _, revision = (state.current().scenario or "").partition(".")
    return (scenario_id, int(revision)) if revision else None


def draw_list(frame: Frame, kept_scenarios: list[Scenario]) -> None:
    """The table, the actions, and files."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## Kept scenarios")
        with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall", width="content"):
            _import(frame)
            _deleted(frame)
            if kept_scenarios:
                export.csv_button(lambda: table(frame, kept_scenarios), "scenarios", key="scenarios-csv")
                _file(
                    "Export all", frame, [scenario.id for scenario in kept_scenarios], "scenarios", key="scenarios-all"
                )
    _undo(frame)
    if not kept_scenarios:
        empty_states.nothing(
            "No scenario is kept yet",
            "Change something under What if above, give it a name, and save it.",
            icon="bookmarks",
        )
        return
    rows = table(frame, kept_scenarios)
    event = st.dataframe(
        rows,
        column_config=COLUMNS,
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        on_select="rerun",
        selection_mode="single-row",
        key="scenarios-table",
        alt=f"{len(rows)} kept scenarios, newest change first",
    )
    _actions(frame, kept_scenarios, [int(row) for row in event.selection["rows"]])


# In words
# ----------------------------------------------------------------------------------------------------------------


def table(frame: Frame, kept_scenarios: list[Scenario]) -> pd.DataFrame:
    """Name, Changes, Policy, Author, Changed, By, Revision."""
    return pd.DataFrame(
        {
            "Name": [scenario.name for scenario in kept_scenarios],
            "Changes": [described(scenario.body, frame) for scenario in kept_scenarios],
            "Policy": [policy_words(scenario.body) for scenario in kept_scenarios],
            "Author": [scenario.author or "-" for scenario in kept_scenarios],
            "Changed": [when(scenario, frame) for scenario in kept_scenarios],
            "By": [scenario.updated_by or "-" for scenario in kept_scenarios],
            "Revision": [scenario.revision for scenario in kept_scenarios],
        }
    )


COLUMNS = {
    "Name": TextColumn(width=220, pinned=True),
    "Changes": TextColumn(width=430),
    "Policy": TextColumn(width=210),
    "Author": TextColumn(width=120),
    "Changed": TextColumn(width=140, help="In the zone of the times"),
    "By": TextColumn(width=120, help="Who changed it last"),
    "Revision": NumberColumn(width=70),
}


def when(scenario: Scenario, frame: Frame) -> str:
    """When it was changed last, in the zone of the times."""
    return theme.stamp(pd.Timestamp(scenario.updated), frame.zone)


def described(body: Body, frame: Frame) -> str:
    """What changes, by the names of the catalogue; why not, where it cannot be read."""
    try:
        return sentence(planning.changes(_question(body).changes), frame.catalogue)
    except HeadroomError as error:
        return f"cannot be read: {error.problem}"


def policy_words(body: Body) -> str:
    """The policy of a scenario in words."""
    try:
        question = _question(body)
    except HeadroomError:
        return "-"
    return f"{100 * question.limit:g} %, {STATISTICS[question.statistic]}, {'with' if question.planned else 'without'} planned"


def _question(body: Body) -> planning.PlanQuery:
    direction: Direction = "ingest" if state.current().direction == "ingest" else "egress"
    return scenarios.query_of(body, direction, state.LEAST_LIMIT)


# What can be done
# --------------------------------------------------------------------------------------------------------


def _actions(frame: Frame, kept_scenarios: list[Scenario], selected: list[int]) -> None:
    """The scenario that is meant, chosen in the table or here, and the buttons for it."""
    known = {scenario.id: scenario for scenario in kept_scenarios}
    if selected != st.session_state.get(_ROW) and selected and selected[0] < len(kept_scenarios):
        st.session_state[_CHOSEN] = kept_scenarios[selected[0]].id
    st.session_state[_ROW] = selected
    if st.session_state.get(_CHOSEN) not in known:
        st.session_state[_CHOSEN] = (
            (opened() or ("", 0))[0] if (opened() or ("", 0))[0] in known else kept_scenarios[0].id
        )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="scenario-actions"):
        scenario = known[
            st.selectbox(
                "Scenario",
                list(known),
                format_func=lambda key: known[key].name if key in known else key,
                key=_CHOSEN,
                width=300,
            )
        ]
        st.button("Open", key="scenario-open", icon=":material/folder_open:", on_click=take, args=(frame, scenario))
        with (
            st.popover("Rename", icon=":material/edit:"),
            st.form(f"scenario-rename-{scenario.id}-{scenario.revision}", border=False),
        ):
            key = f"scenario-new-name-{scenario.id}-{scenario.revision}"
            st.text_input("New name", scenario.name, key=key, max_chars=200)
            st.form_submit_button("Rename it", on_click=_rename, args=(frame, scenario, key))
        st.button(
            "Duplicate",
            key="scenario-copy",
            icon=":material/content_copy:",
            on_click=_duplicate,
            args=(frame, scenario),
        )
        st.button("Delete", key="scenario-delete", icon=":material/delete:", on_click=_delete, args=(frame, scenario))
        _file("Export", frame, [scenario.id], scenario.name, key="scenario-export")


def take(frame: Frame, scenario: Scenario) -> None:
    """Put a scenario's changes and policy into the page, as a callback does."""
    writing.carry_out(PLACE, lambda: _into_page(scenario), lambda name: f"Opened {name}")


def _into_page(scenario: Scenario) -> str:
    question = _question(scenario.body)
    if not state.fits(question.changes):
        problem = f"The changes of {scenario.name} take {len(question.changes):,} letters, and an address does not hold so many."
        raise HeadroomError(
            problem,
            cause="many changes in one scenario",
            remedy="compare it below, which needs no address, or split it in two",
        )
    limit = min(question.limit, state.MOST_LIMIT)
    planned = "counted" if question.planned else "left-out"
    state.update(
        whatif=question.changes or None,
        statistic=question.statistic,
        limit=limit,
        planned=planned,
        scenario=f"{scenario.id}.{scenario.revision}",
    )
    return scenario.name


def _rename(frame: Frame, scenario: Scenario, key: str) -> None:
    name = st.session_state[key]
    done = writing.carry_out(
        PLACE,
        lambda: scenarios.rename(frame.pin, scenario.id, scenario.revision, name, author()),
        lambda now: f"Renamed to {now.name}",
    )
    if done is not None and opened() == (scenario.id, scenario.revision):
        state.update(scenario=f"{done.id}.{done.revision}")


def _duplicate(frame: Frame, scenario: Scenario) -> None:
    done = writing.carry_out(
        PLACE, lambda: scenarios.duplicate(frame.pin, scenario.id, author()), lambda now: f"Duplicated as {now.name}"
    )
    if done is not None:
        st.session_state[_CHOSEN] = done.id


def _delete(frame: Frame, scenario: Scenario) -> None:
    done = writing.carry_out(
        PLACE, lambda: scenarios.delete(frame.pin, scenario.id, author()), lambda now: f"Deleted {now.name}"
    )
    if done is not None:
        st.session_state[_GONE] = (done.id, done.name)


def _undo(frame: Frame) -> None:
    """The last deletion of this session can be taken back at once."""
    gone = st.session_state.get(_GONE)
    if gone is not None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/delete: Deleted {empty_states.plain(gone[1])}", width="content")
            st.button(
                "Undo",
                key="scenario-undo",
                type="tertiary",
                icon=":material/undo:",
                on_click=_restore,
                args=(frame, gone[0]),
            )


def _deleted(frame: Frame) -> None:
    """Every deleted scenario, to be put back."""
    gone = {scenario.id: scenario for scenario in scenarios.listed(frame.pin, deleted=True)}
    if not gone:
        return
    with st.popover(f"Deleted: {len(gone)}", type="tertiary"):
        chosen = st.selectbox(
            "Deleted scenario",
            list(gone),
            format_func=lambda key: gone[key].name if key in gone else key,
            key="scenario-gone",
        )
        st.caption(
            empty_states.plain(f"Deleted by {gone[chosen].updated_by or 'somebody'}, {when(gone[chosen], frame)}")
        )
        st.button(
            "Put it back", key="scenario-restore", icon=":material/undo:", on_click=_restore, args=(frame, chosen)
        )


def _restore(frame: Frame, scenario_id: str) -> None:
    done = writing.carry_out(
        PLACE, lambda: scenarios.restore(frame.pin, scenario_id, author()), lambda now: f"Put {now.name} back"
    )
    if done is not None:
        st.session_state[_CHOSEN] = done.id
    st.session_state.pop(_GONE, None)


# Files
# -------------------------------------------------------------------------------------------------------------------


def _file(label: str, frame: Frame, chosen: list[str], name: str, *, key: str) -> None:
    """A button that saves scenarios as a file, which is made when it is wanted."""

    def content() -> bytes:
        return scenarios.exported(frame.pin, chosen)

    st.download_button(
        label,
        content,
        f"{export.file_name(name)}.json",
        "application/json",
        key=key,
        on_click="ignore",
        type="tertiary",
    )


def _import(frame: Frame) -> None:
    """A file of exported scenarios, taken in whole or not at all."""
    key = f"scenario-file-{st.session_state.get(_FILES, 0)}"
    with st.popover("Import", type="tertiary"):
        st.file_uploader("Exported scenarios", type=["json"], key=key, max_upload_size=FILE_MB)
        st.button(
            "Take them in",
            key="scenario-import",
            disabled=st.session_state.get(key) is None,
            on_click=_take_in,
            args=(frame, key),
        )


def _take_in(frame: Frame, key: str) -> None:
    content = st.session_state[key].getvalue()
    done = writing.carry_out(
        PLACE, lambda: scenarios.imported(frame.pin, content, author()), lambda made: f"Took in {len(made)} scenarios"
    )
    if done:
        st.session_state[_CHOSEN] = done[0].id
        st.session_state[_FILES] = st.session_state.get(_FILES, 0) + 1


# Side by side
# ----------------------------------------------------------------------------------------------------

FORECAST, HERE = "as forecast", "here"
_COMPARED = "scenario-compare"
LATER = "days by which the median comes later; negative: sooner"
UNITS = {"Cost": "USD", "More": "USD", "First site later": "days", "Network later": "days", "N-1 later": "days"}


def compare(frame: Frame, question: PlanQuery, kept_scenarios: list[Scenario]) -> None:
    """The choice, the table and the chart."""
    if not kept_scenarios and not question.changes:
        return
    st.markdown("## Side by side")
    known = {scenario.id: scenario for scenario in kept_scenarios}
    chosen = _choose_compared(known) if kept_scenarios else []
    if not chosen and not question.changes:
        st.caption(
            f"Choose up to {state.COMPARED} scenarios to see what each changes in run-out, in N-1 safety and in cost."
        )
        return
    sides, refused = answers(frame, question, [known[key] for key in chosen])
    if sides is None:
        choices.no_futures(frame, question)
        return
    names = {FORECAST: "As forecast", HERE: "This what-if", **{key: known[key].name for key in chosen}}
    for key, why in {**refused, **sides.refused}.items():
        st.warning(
            f"{empty_states.plain(names.get(key, key))} is left out: {empty_states.plain(why)}", icon=":material/error:"
        )
    _draw_comparison(frame, sides, names, choices.words(question.failover))
    _chart(frame, question, sides, names)


def _choose_compared(known: dict[str, Scenario]) -> list[str]:
    """Draw the choice, which the URL holds; scenarios that are gone fall out of it."""
    st.session_state[_COMPARED] = [key for key in (state.current().compare or "").split(",") if key in known]
    picked = st.multiselect(
        "Scenarios beside what is forecast",
        list(known),
        format_func=lambda key: known[key].name if key in known else key,
        max_selections=state.COMPARED,
        key=_COMPARED,
        on_change=_compared_chosen,
        label_visibility="collapsed",
        placeholder="Choose scenarios",
    )
    return list(picked)


def _compared_chosen() -> None:
    state.update(compare=",".join(st.session_state[_COMPARED]) or None)


def answers(
    frame: Frame, question: PlanQuery, chosen: list[Scenario]
) -> tuple[ScenarioComparison | None, dict[str, str]]:
    """Each scenario under its own policy, after what the page's policy comes to without any change, and with the page's
    own, where no scenario is that; and why one cannot be read.
    """
    questions, refused = {FORECAST: question._replace(changes="")}, {}
    for scenario in chosen:
        try:
            questions[scenario.id] = scenarios.query_of(scenario.body, question.direction, state.LEAST_LIMIT)._replace(
                failover=question.failover, lead_factor=question.lead_factor, lead_plus_days=question.lead_plus_days
            )
        except HeadroomError as error:
            refused[scenario.id] = str(error)
    if question.changes and question not in questions.values():
        questions[HERE] = question
    return scenarios.side_by_side(frame.pin, frame.scope, questions), refused


def compared_rows(frame: Frame, sides: ScenarioComparison, names: dict[str, str]) -> pd.DataFrame:
    """The rows that are compared, with `name` of the scenario, `place` of the first site, and `said`, the answer in
    words.
    """
    now, sites = frame.extent.now, dict(zip(frame.catalogue["site_id"], frame.catalogue["name"], strict=True))
    rows = comparison_rows(sides.rows)
    return rows.assign(
        name=rows["scenario"].map(names),
        place=[sites.get(key, key) for key in rows["key"]],
        said=[_said(row, sides, now) for row in rows.to_dict("records")],
    )


def _said(row: dict[Any, Any], sides: ScenarioComparison, now: pd.Timestamp) -> str:
    return safe_words(sides.safe_until[row["scenario"]], now) if row["measure"] == "n-1" else answer_words(row, now)


def comparison_table(frame: Frame, sides: ScenarioComparison, names: dict[str, str]) -> pd.DataFrame:
    """A row a scenario: Scenario, First site, its run-out, Network, Over in 12 months, N-1 safe, Cost, and by how much
    each differs.
    """
    rows, over = compared_rows(frame, sides, names), over_within_a_year(sides.rows, frame.extent.now)
    by = {measure: rows[rows["measure"] == measure].set_index("scenario") for measure in ("first", "global", "n-1")}
    order = list(by["global"].index)
    first, whole, safe = (by[measure].reindex(order) for measure in ("first", "global", "n-1"))
    dated = first["answer"].isin(("over", "within", "possible"))
    return pd.DataFrame(
        {
            "Scenario": whole["name"],
            "First site": first["place"].where(dated, "none in sight"),
            "Its run-out": first["said"],
            "First site later": first["later_days"],
            "Network": whole["said"],
            "Network later": whole["later_days"],
            "Over in 12 months": [over[key] for key in order],
            "N-1 safe": safe["said"],
            "N-1 later": safe["later_days"],
            "Cost": whole["cost_usd"],
            "More": whole["more_usd"],
        }
    ).reset_index(drop=True)


def _draw_comparison(frame: Frame, sides: ScenarioComparison, names: dict[str, str], failover: str) -> None:
    rows = comparison_table(frame, sides, names)
    priced = rows["Cost"].notna().any()
    with st.container(horizontal=True, horizontal_alignment="right"):
        export.csv_button(rows, "scenarios side by side", key="scenario-sides-csv", units=UNITS)
    if frame.narrow:
        row_cards(rows, "Scenario", CARD_WORDS, key="scenario-sides")
    else:
        st.dataframe(
            rows,
            column_config=COMPARED_COLUMNS | ({} if priced else {"Cost": None, "More": None}),
            hide_index=True,
            placeholder="-",
            row_height=ROW_PX,
            height=HEADER_PX + ROW_PX * len(rows),
            key="scenario-sides",
            alt=f"{len(rows) - 1} scenarios beside what is forecast",
        )
    cost = (
        "Cost: of the usual ports, at prices read from the declared costs, one size at each site, bought as soon as they can be in service, so that nine in "
        "ten futures keep the limit for 12 months; no N-1. Capacity that a what-if adds is paid for as well."
        if priced
        else "Costs are not known: no capacity declares cost_usd_month."
    )
    about = "Of the whole network, whatever the filters; each scenario under its own policy, what is forecast under that of the page."
    st.caption(f"{about} {empty_states.plain(failover)} {cost}")


# How numbers of the comparison read on a card.
CARD_WORDS = (
    dict.fromkeys(("First site later", "Network later", "N-1 later"), lambda days: f"{days:+.0f} d")
    | {"Over in 12 months": lambda sites: f"{sites:.0f} sites"}
    | dict.fromkeys(("Cost", "More"), theme.usd)
)
COMPARED_COLUMNS = {
    "Scenario": TextColumn(width=190, pinned=True),
    "First site": TextColumn(width=120, help="The site that runs out first"),
    "Its run-out": TextColumn(width=150, help="80 % interval over the simulated futures"),
    "First site later": NumberColumn("Later by", width=75, format="%+.0f d", help=f"The first site: {LATER}"),
    "Network": TextColumn(width=160, help="When the network as a whole passes its limit"),
    "Network later": NumberColumn("Later by", width=75, format="%+.0f d", help=f"The network: {LATER}"),
    "Over in 12 months": NumberColumn(
        "Over in 12 mo", width=95, help="Sites that pass their limit within 12 months in half of the futures"
    ),
    "N-1 safe": TextColumn(width=150, help="Until when the other sites can take over what any one site carries"),
    "N-1 later": NumberColumn("Later by", width=75, format="%+.0f d", help=f"The end of N-1 safety: {LATER}"),
    "Cost": NumberColumn(
        "Cost, USD",
        width=90,
        format="compact",
        help="What keeps the limits for 12 months; below the table how it is reckoned",
    ),
    "More": NumberColumn("More, USD", width=90, format="compact", help="Than what is forecast"),
}


def _chart(frame: Frame, question: PlanQuery, sides: ScenarioComparison, names: dict[str, str]) -> None:
    rows = compared_rows(frame, sides, names)
    figure = scenario_bars(
        rows, now=frame.extent.now, direction=question.direction, zone=frame.zone, scheme=frame.scheme
    )
    words = [f"{row['name']}: {row['said']}" for row in rows[rows["measure"] == "global"].to_dict("records")]
    data = rows[
        [
            "name",
            "measure",
            "key",
            "answer",
            "reason",
            "run_out_p10",
            "run_out_p50",
            "run_out_p90",
            "later_days",
            "said",
        ]
    ]
    export.chart(
        figure,
        key="scenario-dates",
        name="scenario dates",
        alt=f"The network runs out: {'; '.join(words)}",
        data=data,
        units={"later_days": "days"},
        zone=frame.zone,
    )

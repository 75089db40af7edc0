"""What to buy: what stays over its limit until an order is there, the cheapest purchases that keep it from then on, why each
is made, and what more or less certainty would cost; and keeping the plan, with its purchases, to be scored by what comes.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import state, theme
from app.cached import EVERYTHING, Direction, HeadroomError, augmenting, latest_run, scorecards
from app.cached.augmenting import BUDGET, AugmentPlan, AugmentRequest, Offer, Step
from app.cached.failures import failover_rule
from app.cached.planning import PlanQuery
from app.cached.scorecards import Card
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.place import site_names
from app.ui.site_filter import filtered_sites
from app.ui.tables import HEADER_PX, ROW_PX, cards, open_clicked, site_column
from app.ui.tile import tile
from app.views.capacity import choices, what_if
from app.views.capacity.augment_charts import augment_curve, broken_words, purchase_table, unmet_table
from app.views.capacity.choices import limit_words
from data.schema import DIRECTION_OF

SURVIVES = {"nothing": "No failure", "n-1": "Any one site may fail"}
BUDGET_STEP = 50_000


def draw(frame: Frame, asked: PlanQuery) -> None:
    """The wish, and the plan for it; found once for everybody who asks the same."""
    planned = what_if.sites(frame, asked)
    if planned is None or choices.no_capacity(frame, planned[1]):
        return
    question = planned[0].question
    st.markdown("## The cheapest plan that keeps the limit")
    st.caption(
        empty_states.plain(
            f"{choices.limit_words(question)}{'; with the what-if' if question.changes else ''}. {_about(frame, question)}"
        )
    )
    held(question)
    request = choose(frame, question)
    show(frame, question, request)


def choose(frame: Frame, question: PlanQuery) -> AugmentRequest:
    """Draw the wish: months, certainty, failures, budget, and the steps on offer."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="augments-wish"):
        _select("months", "Plan for", 130, lambda count: f"{count} months")
        _select("certainty", "Each site keeps its limit in", 200, lambda share: f"{100 * float(share):g} % of futures")
        _select("survives", "While", 200, SURVIVES.__getitem__)
        st.number_input(
            "Budget, USD",
            0,
            state.BUDGET_MOST,
            None,
            BUDGET_STEP,
            placeholder="as much as it takes",
            width=200,
            help=f"What may be spent on {question.direction} within these months. Empty: as much as it takes",
            **state.bound("budget"),
        )
    steps = choose_steps(frame, question)
    return wish(steps)._replace(sites=filtered_sites(frame))


def _select(name: str, label: str, width: int, words: Any) -> None:
    st.selectbox(label, state.CHOICES[name], format_func=words, width=width, **state.bound(name))


def _about(frame: Frame, question: PlanQuery) -> str:
    """Which sites the plan is about, and who helps whom."""
    chosen, rule = filtered_sites(frame), failover_rule(question.failover)
    if chosen is None:
        return f"For all sites; in a failure they help each other {rule}."
    return f"For the {len(chosen)} sites that pass the filters; in a failure they help only each other, {rule}."


def show(frame: Frame, question: PlanQuery, request: AugmentRequest) -> None:
    """The plan, or why there is none."""
    plan: AugmentPlan | None = None
    try:
        with st.spinner("Searching for the cheapest plan", show_time=True):
            plan = augmenting.augment_plan(frame.pin, frame.scope, question, request)
    except HeadroomError as error:
        st.warning(empty_states.plain(error), icon=":material/error:")
    if plan is None:
        return
    if plan.refused:
        remedy = "Fewer months, fewer steps on offer or no failure policy make the search shorter."
        empty_states.nothing(
            "No plan in the time given", f"{plan.refused[0].upper()}{plan.refused[1:]}. {remedy}", icon="timer_off"
        )
        return
    purchases(frame, question, request, plan)
    save_form(frame, question)


# The steps on offer
# ----------------------------------------------------------------------------------------------------

COLUMNS = ["gbps", "cost_usd_month", "cost_usd_once", "lead_time_days"]
# What the editor was first given, what it held when the page was last drawn, and how often it was given something else:
# the editor keeps its own edits, and starts anew where it is given another table under another key.
_BASE, _SAID, _TURN = "catalogue.base", "catalogue.said", "catalogue.turn"


def choose_steps(frame: Frame, question: PlanQuery) -> tuple[Step, ...]:
    """Draw the table; the steps that it holds. A row that is not whole is not on offer yet."""
    offer = augmenting.offer(frame.pin, frame.scope, question.direction)
    usual = text_of(offer.steps)
    given = state.current().steps or usual
    if st.session_state.get(_SAID) != given:
        st.session_state[_BASE], st.session_state[_TURN] = given, st.session_state.get(_TURN, 0) + 1
    with st.expander("Steps on offer at every site", icon=":material/shopping_cart:"):
        st.caption(origin(offer, question))
        steps = rows_of(_edited(st.session_state[_BASE], st.session_state[_TURN]))
        if given != usual:
            st.button(
                "Back to the usual sizes",
                on_click=_usual,
                key="catalogue-usual",
                type="tertiary",
                icon=":material/undo:",
            )
    st.session_state[_SAID] = text_of(steps) or given
    if st.session_state[_SAID] != given:
        state.update(steps=None if st.session_state[_SAID] == usual else st.session_state[_SAID])
    return steps


def wish(steps: tuple[Step, ...]) -> AugmentRequest:
    """What the state asks for, from these steps, of all sites."""
    now = state.current()
    return AugmentRequest(
        int(now.months),
        float(now.certainty),
        now.survives == "n-1",
        steps,
        None,
        None if now.budget is None else float(now.budget),
    )


def _edited(text: str, turn: int) -> pd.DataFrame:
    table = pd.DataFrame(steps_of(text), columns=COLUMNS).astype(float)
    return st.data_editor(
        table,
        column_config=step_columns(),
        hide_index=True,
        num_rows="dynamic",
        key=f"catalogue-{turn}",
        placeholder="site's own",
        width=640,
    )


def origin(offer: Offer, question: PlanQuery) -> str:
    """Where the prices come from, in words."""
    law = offer.law
    if law.costs:
        told = f"fitted to the {law.costs} {question.direction} costs that this lake declares; larger commitments {_cheaper(law.power)}"
    else:
        told = f"**assumed**: this lake declares too few costs of {question.direction} (cost_usd_month of the table capacity) to learn from"
    return f"Sizes are usual Ethernet ports, an assumption. Prices, USD a month, are {told}. An empty lead time is the site's own. All of it can be edited."


def _cheaper(power: float) -> str:
    saved = 1 - 10 ** (power - 1)
    return (
        f"are {theme.percent(saved)} cheaper by the Gbps at ten times the size"
        if saved >= 0.005
        else "cost as much by the Gbps"
    )


def rows_of(table: pd.DataFrame) -> tuple[Step, ...]:
    """The rows that have a size and a price, as steps, in whole USD and days; as many as a link holds."""
    whole = table[(table["gbps"] > 0) & (table["cost_usd_month"] >= 0)].head(state.STEPS_MOST)
    return tuple(
        (
            round(float(gbps), 3),
            float(round(month)),
            float(round(once)) if once > 0 else 0.0,
            None if math.isnan(lead) else float(round(lead)),
        )
        for gbps, month, once, lead in whole[COLUMNS].astype(float).itertuples(index=False, name=None)
    )


def text_of(steps: tuple[Step, ...]) -> str:
    """The steps as the link has them."""
    return ",".join(
        f"{gbps:.10g}:{month:.0f}:{once:.0f}:{'' if lead is None else f'{lead:.0f}'}"
        for gbps, month, once, lead in steps
    )


def steps_of(text: str) -> tuple[Step, ...]:
    """The steps of a link."""
    parts = (one.split(":") for one in text.split(","))
    return tuple(
        (float(gbps), float(month), float(once), float(lead) if lead else None) for gbps, month, once, lead in parts
    )


def _usual() -> None:
    """Forget what was edited."""
    state.update(steps=None)


def step_columns() -> dict[str, Any]:
    """How each column reads, and what it takes."""
    return {
        "gbps": NumberColumn("Size, Gbps", min_value=0.001, max_value=999_999.0, required=True, format="%.5g"),
        "cost_usd_month": NumberColumn(
            "USD a month", min_value=0.0, max_value=9_999_999_999.0, required=True, format="localized", step=1
        ),
        "cost_usd_once": NumberColumn("USD once", min_value=0.0, max_value=9_999_999_999.0, format="localized", step=1),
        "lead_time_days": NumberColumn(
            "Lead time, days",
            min_value=0.0,
            max_value=3650.0,
            format="%d",
            step=1,
            help="Empty: the lead time of each site",
        ),
    }


# The plan
# ----------------------------------------------------------------------------------------------------

MOST_PX = 420
UNITS = {
    "Adds": "Gbps",
    "Cost": "USD",
    "A month": "USD",
    "Risk removed": "Gbps-months",
    "Per thousand USD": "Gbps-months",
}
CURVE_UNITS = {"cost_usd": "USD", "risk": "Gbps-months"}
FILE = "planned-augments.csv"


def purchases(frame: Frame, question: PlanQuery, wish: AugmentRequest, plan: AugmentPlan) -> None:
    """All of a plan that was found; the curve, which is many plans, when the rest can be read."""
    names = site_names(frame.catalogue, None)
    st.markdown(" ".join(verdict(plan, wish, names)))
    broken(plan, names)
    numbers(plan, wish)
    offer(question, plan)
    table(frame, question, plan, names)
    curve = st.expander("What more or less certainty costs", icon=":material/show_chart:", **state.fold("curve"))
    if not curve.open:
        return
    with curve, st.spinner("Searching for the plans of other certainty", show_time=True):
        points = augmenting.risk_curve(frame.pin, frame.scope, question, wish)
        _curve(plan, wish, points, question, frame)


def _curve(plan: AugmentPlan, wish: AugmentRequest, points: pd.DataFrame, question: PlanQuery, frame: Frame) -> None:
    drawn = augment_curve(
        points, months=wish.months, direction=question.direction, scheme=frame.scheme, budget_usd=wish.budget_usd
    )
    export.chart(
        drawn,
        key="augment-curve",
        name="cost against risk",
        alt=alt(plan, points, wish),
        data=partial(points.copy),
        units=CURVE_UNITS,
    )
    st.caption(
        "Risk: the Gbps above the limit that are expected, summed over the months"
        f"{', and what the worst single failure of each month would shed' if wish.n_minus_1 else ''}. "
        f"Each point is the cheapest plan that keeps the limit in this share of futures{', whatever the budget' if wish.budget_usd is not None else ''}."
    )


def verdict(plan: AugmentPlan, wish: AugmentRequest, names: dict[str, str]) -> list[str]:
    """What stays over until when, and what keeps the limit from then on, as sentences."""
    unmet, said = plan.unmet(), []
    share = f"{100 * wish.q:g} % of futures"
    if len(unmet):
        last, most = unmet.iloc[0], float(unmet["short_gbps"].max())
        sites = int((unmet["kind"] == "limit").sum())
        name = empty_states.plain(names.get(last["key"], last["key"]))
        said.append(
            f"**{sites} site{'s' if sites != 1 else ''} cannot keep the limit in {share} until what is ordered today is "
            f"there**, {name} longest, to {theme.month(last['last'])}; by up to {theme.gbps(most)}."
            if sites
            else f"**{len(unmet)} failures of a site cannot be carried**, that of {name} longest, to {theme.month(last['last'])}."
        )
    count, added = len(plan.purchases), theme.gbps(sum(one.gbps * one.units for one in plan.purchases))
    if count:
        rest = "From then on" if len(unmet) else "With it"
        said.append(
            f"{count} purchase{'' if count == 1 else 's'} of {added} in all, {theme.usd(plan.cost_usd)} within "
            f"{wish.months} months, is the cheapest plan. {rest} each site keeps its limit in {share}."
        )
    elif not len(unmet):
        said.append(f"**Nothing to buy**: what is declared keeps the limit in {share} for {wish.months} months.")
    return said


def numbers(plan: AugmentPlan, wish: AugmentRequest) -> None:
    """Cost, proof, purchases, risk."""
    cost = f"within {wish.months} months" if wish.budget_usd is None else f"of {theme.usd(wish.budget_usd)} budget"
    added = sum(one.gbps * one.units for one in plan.purchases)
    with st.container(horizontal=True, gap="small", key="augment-numbers"):
        tile("Cost", theme.usd(plan.cost_usd), cost)
        tile("Cheapest", "proved" if plan.proved else "best found", proof(plan))
        tile("Purchases", str(len(plan.purchases)), f"{theme.gbps(added)} in all")
        tile("Cost of the last month", theme.usd(sum(one.usd_month for one in plan.purchases)), "a month from then on")
        tile("Risk left", f"{theme.significant(plan.risk)}", f"of {theme.significant(plan.risk_without)} Gbps-months")


def proof(plan: AugmentPlan) -> str:
    """What is known of better plans."""
    if plan.proved:
        return "no cheaper mix exists"
    return (
        f"{theme.percent(plan.avoidable)} may be avoidable"
        if plan.avoidable
        else f"at most {theme.percent(plan.gap)} too dear"
    )


def broken(plan: AugmentPlan, names: dict[str, str]) -> None:
    """What nothing on offer keeps: a row for each site, kind and cause, with its months."""
    told = broken_words(plan.broken, names)
    if not told:
        return
    if plan.unbound_usd is not None:
        poor = len(broken_words([one for one in plan.broken if one.cause == BUDGET], names))
        budget = theme.usd(plan.problem.request.budget_usd)
        st.markdown(
            empty_states.plain(
                f"The budget of {budget} does not reach: the plan without it costs {theme.usd(plan.unbound_usd)}. {poor} break for it."
            )
        )
    rows = unmet_table(plan.unmet(), names)
    with st.expander(f"What stays over, and until when: {len(rows)} rows", icon=":material/hourglass_top:"):
        if plan.avoidable:
            st.caption(f"By at most {theme.percent(plan.avoidable)} more than need be: the search ended on time.")
        st.dataframe(
            rows,
            column_config={
                "Site": TextColumn(width=150, pinned=True),
                "What": TextColumn(width=170),
                "Short": NumberColumn("Short at most, Gbps", width=140, format="%.1f"),
                "Why": TextColumn(width=420),
            },
            hide_index=True,
            row_height=ROW_PX,
            height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
            key="unmet",
            alt=f"{len(rows)} limits that no purchase keeps, what lasts longest first",
        )


def table(frame: Frame, question: PlanQuery, plan: AugmentPlan, names: dict[str, str]) -> None:
    """The purchases, most risk removed for a dollar first, and the files."""
    if not plan.purchases:
        st.markdown(
            "**Nothing to buy**: what is declared keeps the limit."
            if not plan.broken
            else "**Nothing on offer helps.**"
        )
        return
    rows = purchase_table(plan.frame(names), names, frame.extent.now)

    def declared() -> bytes:
        return export.csv(augmenting.capacity_rows(frame.pin, frame.scope, question, plan))

    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## What to buy, most risk removed for a dollar first")
        with st.container(horizontal=True, horizontal_alignment="right", gap="xsmall", width="content"):
            export.csv_button(rows, "purchases", key="purchases-csv", units=UNITS)
            st.download_button(
                "Capacity table",
                declared,
                FILE,
                "text/csv",
                key="purchases-capacity",
                on_click="ignore",
                type="tertiary",
                help="The purchases as planned steps of the table of capacity",
            )
    if frame.narrow:
        records, keys = rows.to_dict("records"), list(plan.frame(names)["site_id"])
        titles = [
            f"**[{empty_states.plain(row['Site'])}]({state.link('region', site=key)})** {row['Step']}"
            for key, row in zip(keys, records, strict=True)
        ]
        cards(titles, lambda at: _card_lines(records[at]), key="purchases")
        return
    st.dataframe(
        rows,
        column_config=purchase_columns(),
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        key="purchases",
        alt=f"{len(rows)} purchases for {theme.usd(plan.cost_usd)}",
    )
    open_clicked("purchases.click", list(plan.frame()["site_id"]), set(frame.catalogue["site_id"]))
    st.caption(
        "To count them as planned augments everywhere, take the capacity table in on the sheet of declared capacity, or on the server: "
        "it stands on every step that is declared now."
    )


def _card_lines(row: dict[Any, Any]) -> list[str]:
    """A purchase in two lines."""
    return [
        f"Order {row['Order by']}; in service {row['In service']}",
        f"{theme.usd(row['Cost'])} within the months planned: {empty_states.plain(row['Reason'])}",
    ]


def purchase_columns() -> dict[str, Any]:
    """How each column of the table reads."""
    return {
        "Rank": NumberColumn("#", width=40),
        "Site": site_column("purchases.click", 130),
        "Step": TextColumn(width=105),
        "Adds": NumberColumn("Adds, Gbps", width=85, format="%.4g"),
        "Order by": TextColumn(width=155, help="So that it is in service in time at twice the lead time and five days"),
        "In service": TextColumn(width=100),
        "Cost": NumberColumn("Cost, USD", width=95, format="localized", help="Within the months planned"),
        "A month": NumberColumn("USD a month", width=95, format="localized"),
        "Risk removed": NumberColumn(
            "Risk removed", width=100, format="%.3g", help="Gbps-months that come back without it"
        ),
        "Per thousand USD": NumberColumn(
            "per k USD", width=80, format="%.3g", help="Gbps-months of risk removed for each thousand USD"
        ),
        "Reason": TextColumn(width=560),
    }


def alt(plan: AugmentPlan, points: pd.DataFrame, wish: AugmentRequest) -> str:
    """The curve in a sentence."""
    chosen = f"the chosen one costs {theme.usd(plan.cost_usd)} and leaves {theme.significant(plan.risk)} Gbps-months"
    return f"Cost against risk of {len(points)} plans; {chosen}{'' if wish.budget_usd is None else f'; the budget is {theme.usd(wish.budget_usd)}'}"


# What a policy file that names none is planned for.
USUAL_MONTHS = 12


def bought_words(card: Card) -> str:
    """The purchases of a saved plan: '135 purchases, USD 559 k a month', 'nothing', or 'not asked' where no search was
    saved with it.
    """
    if not card.note.policy.get("augments"):
        return "not asked"
    count = len(card.purchases)
    return (
        f"{count} purchase{'' if count == 1 else 's'}, {theme.usd(card.purchases['usd_month'].sum())} a month"
        if count
        else "nothing"
    )


def draw_saved(frame: Frame, card: Card, asked: PlanQuery) -> None:
    """The purchases of the direction at the sites that pass the filters, if there are any."""
    kept, names = filtered_sites(frame), site_names(frame.catalogue, None)
    bought = card.purchases[card.purchases["direction"] == asked.direction]
    mine = bought if kept is None else bought[bought["site_id"].isin(kept)]
    if mine.empty:
        return
    rows = purchase_table(mine.sort_values("rank", ignore_index=True), names, frame.extent.now)
    months = card.note.policy["augments"].get("months", USUAL_MONTHS)
    title = f"To buy: {len(rows)} purchases of {asked.direction}, {theme.usd(mine['cost_usd'].sum())} within {months} months"
    with st.expander(title, icon=":material/shopping_cart:"):
        with st.container(horizontal=True, horizontal_alignment="right"):
            export.csv_button(rows, f"{card.note.name} purchases", key="card-purchases-csv", units=UNITS)
        st.dataframe(
            rows,
            column_config=purchase_columns() | {"Site": TextColumn(width=130, pinned=True)},
            hide_index=True,
            row_height=ROW_PX,
            height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
            placeholder="-",
            key="card-purchases",
            alt=f"{len(rows)} purchases that the plan made",
        )
        st.caption(
            "As the plan had it, by its own day: what has been declared since then is not taken off. Whether an order is overdue is told as of now."
        )


# Where the effect of a plan is seen first.
SHEET = "runout"


def offer(question: PlanQuery, plan: AugmentPlan) -> None:
    """The button that counts the purchases in, and what that shows."""
    if not plan.purchases:
        return
    text = augmenting.with_purchases(question, plan)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Count it in",
            key="plan-count-in",
            icon=":material/add_task:",
            disabled=not state.fits(text),
            on_click=state.update,
            kwargs={"whatif": text, "sheet": SHEET, "grade": "changed"},
        )
        if state.fits(text):
            st.caption(
                "What does the plan buy? As a what-if, its capacity counts from its days in service on: in what runs out, failures, scenarios and cost, "
                "beside what holds without it."
            )
        else:
            st.caption(
                "So many purchases do not fit into a link. Filter by region or partner, or take the capacity table in."
            )


def held(question: PlanQuery) -> None:
    """Said where the what-if adds capacity already: the plan then buys on top of it."""
    without = augmenting.taken_out(question)
    if without is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(
            ":material/add_task: The what-if counts capacity in already: a plan now buys on top of it.", width="content"
        )
        st.button(
            "Take it out",
            key="plan-take-out",
            type="tertiary",
            icon=":material/close:",
            on_click=state.update,
            kwargs={"whatif": without or None},
        )


# Keeping the plan
# ----------------------------------------------------------------------------------------------------

# Streamlit forgets a field that is not drawn; who saves a second plan is still the same.
_AUTHOR, _FIELD, _SAVED = "plan.author", "save.author", "save.said"


def save_form(frame: Frame, asked: PlanQuery) -> None:
    """The form; it says what is kept, and what is not."""
    if latest_run(frame.pin, frame.scope) is None or frame.scope != EVERYTHING:
        return
    with st.expander("Save the plan", icon=":material/save:", expanded=bool(st.session_state.get(_SAVED))):
        left_out = (
            " The what-if and the filters are not part of it."
            if asked.changes or filtered_sites(frame) is not None
            else ""
        )
        st.caption(
            empty_states.plain(f"Kept: both directions, from the newest run; policy: {limit_words(asked)}.{left_out}")
        )
        with st.form("save-plan", border=False, enter_to_submit=False):
            with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
                name = st.text_input("Name", key="save.name", width=260, placeholder="Winter orders")
                st.session_state.setdefault(_FIELD, st.session_state.get(_AUTHOR, ""))
                author = st.text_input("Author", key=_FIELD, width=200)
                pressed = st.form_submit_button("Save")
            bought = st.checkbox(f"With the cheapest purchases: {wish_words()}", value=True, key="save.bought")
        if pressed:
            _save(frame, asked, name, author, wishes(frame, asked) if bought else None)
        if said := st.session_state.pop(_SAVED, ""):
            st.success(said, icon=":material/check:")


def wish_words() -> str:
    """What the purchases are asked to keep, as the Augments sheet has it."""
    now = state.current()
    budget = "" if now.budget is None else f", for {theme.usd(now.budget)} in each direction"
    fails = ", while any one site may fail" if now.survives == "n-1" else ""
    return f"{now.months} months, {100 * float(now.certainty):g} % of futures{fails}{budget}, as set under Augments"


def wishes(frame: Frame, asked: PlanQuery) -> dict[Direction, AugmentRequest]:
    """The wish of the Augments sheet for both directions, of all sites. Steps that were edited are those of the
    direction that is shown.
    """
    edited = state.current().steps
    found = {
        direction: augmenting.offer(frame.pin, frame.scope, direction).steps for direction in DIRECTION_OF.values()
    }
    if edited:
        found[asked.direction] = steps_of(edited)
    return {direction: wish(steps) for direction, steps in found.items()}


def _save(
    frame: Frame, asked: PlanQuery, name: str, author: str, wanted: dict[Direction, AugmentRequest] | None
) -> None:
    st.session_state[_AUTHOR] = author
    try:
        with st.spinner(
            "Saving the plan" if wanted is None else "Searching for the cheapest purchases of both directions",
            show_time=True,
        ):
            kept = scorecards.save(frame.pin, frame.scope, asked, name, author, wanted)
    except HeadroomError as error:
        st.warning(empty_states.plain(error), icon=":material/error:")
        return
    bought = (
        ""
        if wanted is None
        else f", with {kept.purchases} purchases"
        + "".join(f"; {way}: {empty_states.plain(why)}" for way, why in kept.refused.items())
    )
    st.session_state[_SAVED] = f"Kept as **{empty_states.plain(kept.note.name)}**{bought}."
    st.rerun()

"""A plan of purchases: its numbers, its table with reasons, what it cannot keep, cost against risk, and files to take
away.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import state, theme
from app.cached import augmenting
from app.cached.augmenting import BUDGET, AugmentPlan, AugmentRequest
from app.cached.planning import PlanQuery
from app.cached.scorecards import Card
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.place import site_names
from app.ui.site_filter import filtered_sites
from app.ui.tables import HEADER_PX, ROW_PX
from app.ui.tile import tile
from app.views.capacity.augment_charts import augment_curve, broken_words, purchase_table

MOST_PX, BROKEN_SHOWN = 420, 8
UNITS = {
    "Adds": "Gbps",
    "Cost": "USD",
    "A month": "USD",
    "Risk removed": "Gbps-months",
    "Per thousand USD": "Gbps-months",
}
CURVE_UNITS = {"cost_usd": "USD", "risk": "Gbps-months"}
FILE = "planned-augments.csv"


def draw(frame: Frame, question: PlanQuery, wish: AugmentRequest, plan: AugmentPlan) -> None:
    """All of a plan that was found; the curve, which is many plans, when the rest can be read."""
    names = site_names(frame.catalogue, None)
    numbers(plan, wish)
    broken(plan, names)
    offer(question, plan)
    table(frame, question, plan, names)
    with st.spinner("Searching for the plans of other certainty", show_time=True):
        points = augmenting.risk_curve(frame.pin, frame.scope, question, wish)
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


def numbers(plan: AugmentPlan, wish: AugmentRequest) -> None:
    """Cost, proof, purchases, risk."""
    cost = f"within {wish.months} months" if wish.budget_usd is None else f"of {theme.usd(wish.budget_usd)} budget"
    added = sum(one.gbps * one.units for one in plan.purchases)
    with st.container(horizontal=True, gap="small", key="augment-numbers"):
        tile("Cost", theme.usd(plan.cost_usd), cost)
        tile("Proof", "Optimal" if plan.proved else "Best found", proof(plan))
        tile("Purchases", str(len(plan.purchases)), f"{theme.gbps(added)} in all")
        tile("Cost of the last month", theme.usd(sum(one.usd_month for one in plan.purchases)), "a month from then on")
        tile("Risk left", f"{theme.significant(plan.risk)}", f"of {theme.significant(plan.risk_without)} Gbps-months")


def proof(plan: AugmentPlan) -> str:
    """What is known of better plans."""
    if plan.proved:
        return "proved: none cheaper" if not plan.broken else "proved: none better"
    return (
        f"{theme.percent(plan.avoidable)} may be avoidable"
        if plan.avoidable
        else f"at most {theme.percent(plan.gap)} too dear"
    )


def broken(plan: AugmentPlan, names: dict[str, str]) -> None:
    """Which constraints nothing on offer keeps, and which bound is to blame."""
    told = broken_words(plan.broken, names)
    if not told:
        return
    least = (
        "by as little as can be"
        if not plan.avoidable
        else f"by at most {theme.percent(plan.avoidable)} more than need be"
    )
    with st.container(border=True):
        st.markdown(
            f"**:material/block: No plan keeps the limit everywhere.** This one falls short {least}: {len(told)} constraints break."
        )
        if plan.unbound_usd is not None:
            poor = len(broken_words([one for one in plan.broken if one.cause == BUDGET], names))
            budget = theme.usd(plan.problem.request.budget_usd)
            st.markdown(
                empty_states.plain(
                    f"The budget of {budget} does not reach: the plan without it costs {theme.usd(plan.unbound_usd)}. {poor} break for it."
                )
            )
        st.markdown(listed(told[:BROKEN_SHOWN]))
        if len(told) > BROKEN_SHOWN:
            with st.expander(f"{len(told) - BROKEN_SHOWN} more"):
                st.markdown(listed(told[BROKEN_SHOWN:]))


def listed(sentences: list[str]) -> str:
    """Sentences with foreign names in them, as a list."""
    return "\n".join(f"- {empty_states.plain(one)}" for one in sentences)


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
        st.markdown("##### What to buy, most risk removed for a dollar first")
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
    st.dataframe(
        rows,
        column_config=columns(),
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        key="purchases",
        alt=f"{len(rows)} purchases for {theme.usd(plan.cost_usd)}",
    )
    st.caption(
        "To count them as planned augments everywhere, save the capacity table and take it in. It stands on every step that is declared now:"
    )
    st.code(f"python -m data ingest {FILE} --table capacity --lake {frame.pin.url}", language="bash", wrap_lines=True)


def columns() -> dict[str, Any]:
    """How each column of the table reads."""
    return {
        "Rank": NumberColumn("#", width=40),
        "Site": TextColumn(width=130, pinned=True),
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


def words(card: Card) -> str:
    """'135 purchases, USD 559 k a month'; what was not asked for is not nothing."""
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
            column_config=columns(),
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

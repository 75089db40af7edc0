"""What a saved plan was to buy: how much in words for the list, and every purchase with its dates and reason."""

from __future__ import annotations

import streamlit as st

from app import theme
from app.cached.planning import PlanQuery
from app.cached.scorecards import Card
from app.charts.augment_rows import purchase_table
from app.components import export
from app.components.header import Frame
from app.components.ledger import HEADER_PX, ROW_PX
from app.components.place import site_names
from app.components.plan.purchases import MOST_PX, UNITS, columns
from app.components.site_filter import filtered_sites

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


def draw(frame: Frame, card: Card, asked: PlanQuery) -> None:
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

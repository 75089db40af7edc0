"""Up to four scenarios, and what the page asks now, beside what is forecast: what each changes in run-out, in N-1
safety and in cost.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import state
from app.cached import HeadroomError, scenarios
from app.cached.planning import PlanQuery
from app.cached.scenarios import Scenario, ScenarioComparison
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.tables import HEADER_PX, ROW_PX
from app.views.capacity import choices
from app.views.capacity.failures import safe_words
from app.views.capacity.run_out_charts import answer_words, measured, over_within_a_year, scenario_bars

FORECAST, HERE = "as forecast", "here"
_CHOSEN = "scenario-compare"
LATER = "days by which the median comes later; negative: sooner"
UNITS = {"Cost": "USD", "More": "USD", "First site later": "days", "Network later": "days", "N-1 later": "days"}


def draw(frame: Frame, asked: PlanQuery, held: list[Scenario]) -> None:
    """The choice, the table and the chart."""
    if not held and not asked.changes:
        return
    st.markdown("##### Side by side")
    known = {one.id: one for one in held}
    chosen = _choose(known) if held else []
    if not chosen and not asked.changes:
        st.caption(
            f"Choose up to {state.COMPARED} scenarios to see what each changes in run-out, in N-1 safety and in cost."
        )
        return
    sides, refused = answers(frame, asked, [known[key] for key in chosen])
    if sides is None:
        choices.no_futures(frame, asked)
        return
    names = {FORECAST: "As forecast", HERE: "This what-if", **{key: known[key].name for key in chosen}}
    for key, why in {**refused, **sides.refused}.items():
        st.warning(
            f"{empty_states.plain(names.get(key, key))} is left out: {empty_states.plain(why)}", icon=":material/error:"
        )
    _table(frame, sides, names, choices.words(asked.failover))
    _chart(frame, asked, sides, names)


def _choose(known: dict[str, Scenario]) -> list[str]:
    """Draw the choice, which the URL holds; scenarios that are gone fall out of it."""
    st.session_state[_CHOSEN] = [key for key in (state.current().compare or "").split(",") if key in known]
    picked = st.multiselect(
        "Scenarios beside what is forecast",
        list(known),
        format_func=lambda key: known[key].name if key in known else key,
        max_selections=state.COMPARED,
        key=_CHOSEN,
        on_change=_chosen,
        label_visibility="collapsed",
        placeholder="Choose scenarios",
    )
    return list(picked)


def _chosen() -> None:
    state.update(compare=",".join(st.session_state[_CHOSEN]) or None)


def answers(frame: Frame, asked: PlanQuery, chosen: list[Scenario]) -> tuple[ScenarioComparison | None, dict[str, str]]:
    """Each scenario under its own policy, after what the page's policy comes to without any change, and with the page's
    own, where no scenario is that; and why one cannot be read.
    """
    questions, refused = {FORECAST: asked._replace(changes="")}, {}
    for one in chosen:
        try:
            questions[one.id] = scenarios.query_of(one.body, asked.direction, state.LEAST_LIMIT)._replace(
                failover=asked.failover
            )
        except HeadroomError as error:
            refused[one.id] = str(error)
    if asked.changes and asked not in questions.values():
        questions[HERE] = asked
    return scenarios.side_by_side(frame.pin, frame.scope, questions), refused


def told(frame: Frame, sides: ScenarioComparison, names: dict[str, str]) -> pd.DataFrame:
    """The rows that are compared, with `name` of the scenario, `place` of the first site, and `said`, the answer in
    words.
    """
    now, sites = frame.extent.now, dict(zip(frame.catalogue["site_id"], frame.catalogue["name"], strict=True))
    rows = measured(sides.rows)
    return rows.assign(
        name=rows["scenario"].map(names),
        place=[sites.get(key, key) for key in rows["key"]],
        said=[_said(row, sides, now) for row in rows.to_dict("records")],
    )


def _said(row: dict[Any, Any], sides: ScenarioComparison, now: pd.Timestamp) -> str:
    return safe_words(sides.safe_until[row["scenario"]], now) if row["measure"] == "n-1" else answer_words(row, now)


def table(frame: Frame, sides: ScenarioComparison, names: dict[str, str]) -> pd.DataFrame:
    """A row a scenario: Scenario, First site, its run-out, Network, Over in 12 months, N-1 safe, Cost, and by how much
    each differs.
    """
    rows, over = told(frame, sides, names), over_within_a_year(sides.rows, frame.extent.now)
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


def _table(frame: Frame, sides: ScenarioComparison, names: dict[str, str], failover: str) -> None:
    rows = table(frame, sides, names)
    priced = rows["Cost"].notna().any()
    with st.container(horizontal=True, horizontal_alignment="right"):
        export.csv_button(rows, "scenarios side by side", key="scenario-sides-csv", units=UNITS)
    st.dataframe(
        rows,
        column_config=COLUMNS | ({} if priced else {"Cost": None, "More": None}),
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


COLUMNS = {
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


def _chart(frame: Frame, asked: PlanQuery, sides: ScenarioComparison, names: dict[str, str]) -> None:
    rows = told(frame, sides, names)
    figure = scenario_bars(rows, now=frame.extent.now, direction=asked.direction, zone=frame.zone, scheme=frame.scheme)
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

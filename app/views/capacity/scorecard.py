"""How did the saved plans do: run-out dates, orders and weekly peaks against what came; and keeping today's plan, so
that it can be scored.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import NumberColumn, TextColumn

from app import state, theme
from app.cached import scorecards
from app.cached.planning import PlanQuery
from app.cached.scorecards import Card, Replay
from app.ui import empty_states, export, writing
from app.ui.header import Frame
from app.ui.place import region_names, site_names
from app.ui.site_filter import filtered_sites
from app.ui.tables import HEADER_PX, ROW_PX, cards, open_clicked, site_column
from app.ui.tile import tile
from app.views.capacity import augments
from app.views.capacity.choices import IN_WORDS
from app.views.capacity.scorecard_charts import CARD_UNITS, calibration_chart, counted, held_words, middle, outcome_rows
from data.schema import GLOBAL_KEY

MOST_PX, LEAST_ROWS = 420, 1
_CHOICE, PLACE = "scorecard.plan", "scorecard"


def draw(frame: Frame, asked: PlanQuery) -> None:
    """The plans, the one chosen against what came, and the calibration of them all."""
    writing.tell(PLACE)
    augments.save_form(frame, asked)
    notes = scorecards.listed(frame.pin)
    if not notes:
        _no_plans(frame)
        draw_replay(frame, asked)
        return
    cards = {note.id: scorecards.card(frame.pin, frame.scope, note.id) for note in notes}
    _browser(frame, cards)
    chosen = cards[_choose(frame, cards)]
    augments.draw_saved(frame, chosen, asked)
    _one(frame, chosen, asked)
    _calibration(frame, list(cards.values()), asked)
    draw_replay(frame, asked)


def _no_plans(frame: Frame) -> None:
    empty_states.nothing(
        "No plan is saved yet",
        "A scorecard holds a saved plan against the weeks that came after it. Save one above: its first answers come when its first week is "
        f"over, on {theme.day(scorecards.first_answers(frame.extent.now))} for a plan that is made today, and run-out dates as they come due.",
        icon="scoreboard",
    )


# A past forecast against what came
# ----------------------------------------------------------------------------------------------------

REPLAY_WORDS = {
    "foreseen": "passed, as foreseen",
    "earlier": "passed, earlier than foreseen",
    "missed": "passed, not foreseen",
    "not come": "expected to pass, did not",
    "quiet": "stayed below, as expected",
}


def draw_replay(frame: Frame, asked: PlanQuery) -> None:
    """What the models would have said at the backtest that reaches furthest, against the weeks that came."""
    played = scorecards.past_replay(frame.pin, frame.scope, asked.direction, asked.limit, filtered_sites(frame))
    if played is None:
        return
    names = site_names(frame.catalogue, None)
    rows = pd.DataFrame(
        {
            "Site": [names.get(key, key) for key in played.rows["key"]],
            "Verdict": played.rows["verdict"].map(REPLAY_WORDS),
            "Limit": played.rows["limit_gbps"].round(1),
            "Expected": played.rows["expected_gbps"].round(1),
            "High": played.rows["high_gbps"].round(1),
            "Came": played.rows["came_gbps"].round(1),
            "Expected to pass": [None if pd.isna(day) else theme.day(day) for day in played.rows["expected_week"]],
            "Passed": [None if pd.isna(day) else theme.day(day) for day in played.rows["came_week"]],
        }
    )
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"## Replay: what the forecast of {theme.day(played.start)} would have said")
        export.csv_button(
            rows, "replay", key="replay-csv", units=dict.fromkeys(("Limit", "Expected", "High", "Came"), "Gbps")
        )
    st.markdown(replay_words(played, asked))
    if frame.narrow:
        records = rows.to_dict("records")
        titles = [
            f"**[{empty_states.plain(row['Site'])}]({state.link('region', site=key)})** {row['Verdict']}"
            for key, row in zip(played.rows["key"], records, strict=True)
        ]
        cards(titles, lambda at: replay_lines(records[at]), key="replay")
        return
    gbps = {name: NumberColumn(width=105, format="localized") for name in ("Limit", "Expected", "High", "Came")}
    gbps["High"] = NumberColumn("Upper end", width=105, format="localized", help="Of the 95 % interval of the hours")
    st.dataframe(
        rows,
        column_config={"Site": site_column("replay.click", 150), "Verdict": TextColumn(width=210), **gbps},
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * max(len(rows), LEAST_ROWS)),
        placeholder="-",
        key="replay",
        alt=f"Forecast and measured busiest hours of {len(rows)} sites",
    )
    open_clicked("replay.click", list(played.rows["key"]), set(frame.catalogue["site_id"]))
    st.caption(
        "From backtests: models fitted to what was known then. Gbps, busiest hourly mean of the weeks since, against the limit of what "
        "was installed; weekly dates are the weeks' first days."
    )


def replay_lines(row: dict[Any, Any]) -> list[str]:
    """A site's replay in a line or two, for a card."""
    said = f"Busiest hour {theme.gbps(row['Came'])}, expected {theme.gbps(row['Expected'])}, limit {theme.gbps(row['Limit'])}"
    return [said, f"Passed in the week of {row['Passed']}"] if row["Passed"] else [said]


def replay_words(played: Replay, asked: PlanQuery) -> str:
    """The replay in two sentences."""
    counts = played.rows["verdict"].value_counts()
    told = {verdict: int(counts.get(verdict, 0)) for verdict in REPLAY_WORDS}
    passed = told["foreseen"] + told["earlier"] + told["missed"]
    kinds = [f"{told['foreseen']} as foreseen", f"{told['earlier']} earlier", f"{told['missed']} not foreseen"]
    kinds = [kind for kind in kinds if not kind.startswith("0 ")]
    share = f"{100 * asked.limit:g} % of their {asked.direction} capacity"
    said = (
        f"**{passed} of {len(played.rows)} sites passed {share} within {played.weeks} weeks: {', '.join(kinds)}**"
        if passed
        else f"**No site of {len(played.rows)} passed {share} within {played.weeks} weeks**"
    )
    return (
        f"{said}; {told['not come'] or 'none'} {'was' if told['not come'] == 1 else 'were'} expected to and did not. Busiest hours came within "
        f"{theme.percent(played.error)} of what was expected, median; {theme.percent(played.under_high)} of weeks stayed "
        "under the upper end of the 95 % interval."
    )


def _browser(frame: Frame, cards: dict[str, Card]) -> None:
    """What was planned when, by whom and on which run."""
    rows = pd.DataFrame([browsed(card, frame) for card in cards.values()])
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## Saved plans")
        export.csv_button(rows, "saved plans", key="plans-csv", zone=frame.zone)
    st.dataframe(
        rows,
        column_config={
            "Plan": TextColumn(pinned=True, width=160),
            "Planned from": TextColumn(help="End of the telemetry that the plan was made on"),
        },
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        placeholder="-",
        key="plans",
        alt=f"{len(rows)} saved plans, newest first",
    )


def browsed(card: Card, frame: Frame) -> dict[str, str]:
    """A row of the browser."""
    counts = counted(card.outcomes) if "verdict" in card.outcomes else dict.fromkeys(("inside", "earlier", "later"), 0)
    return {
        "Plan": card.note.name,
        "Made": theme.stamp(pd.Timestamp(card.note.made_at), frame.zone),
        "By": card.note.author or "not said",
        "Run": "not known" if card.run is None else f"{card.run}",
        "Planned from": theme.day(card.today),
        "Policy": policy_words(card.note.policy),
        "To buy": augments.bought_words(card),
        "Weeks over": f"{card.weeks}",
        "Intervals that held": held_words(counts),
        "Weeks under P90": under(card.hits),
    }


def policy_words(policy: dict[str, Any]) -> str:
    """'peak of week, 80 %, planned augments counted'."""
    limit = policy.get("limit")
    return ", ".join(
        [
            IN_WORDS.get(str(policy.get("statistic")), "not said"),
            f"{100 * limit:g} %" if isinstance(limit, float) else "limit not said",
            "planned augments counted" if policy.get("planned", True) else "installed only",
        ]
    )


def under(hits: pd.DataFrame) -> str:
    """'88 % of 1,248'."""
    return (
        f"{theme.percent(float(hits['below_q90'].mean()))} of {len(hits):,}"
        if len(hits) and "below_q90" in hits
        else "none known yet"
    )


def _choose(frame: Frame, cards: dict[str, Card]) -> str:
    """The plan that is looked at; the newest unless the state names another that there is."""
    wanted = state.current().plan
    if wanted is not None and wanted not in cards:
        st.caption(":material/link_off: The link names a plan that is not kept here; the newest is shown.")
    held = wanted if wanted in cards else next(iter(cards))
    st.session_state[_CHOICE] = held
    words = {key: f"{card.note.name}, made {theme.day(pd.Timestamp(card.note.made_at))}" for key, card in cards.items()}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.selectbox(
            "Plan", list(cards), format_func=lambda key: words.get(key, key), key=_CHOICE, on_change=_chosen, width=380
        )
        with st.popover("Delete", icon=":material/delete:", type="tertiary"):
            st.markdown(f"Delete **{empty_states.plain(cards[str(held)].note.name)}** for good, with its scorecard?")
            st.button("Delete the plan", key="plan-delete", on_click=_delete, args=(frame, str(held)))
    return str(held)


def _delete(frame: Frame, plan_id: str) -> None:
    writing.carry_out(PLACE, lambda: scorecards.delete(frame.pin, plan_id), lambda _: "The plan is deleted")
    state.update(plan=None)


def _chosen() -> None:
    state.update(plan=st.session_state[_CHOICE])


def _one(frame: Frame, card: Card, asked: PlanQuery) -> None:
    """One plan: its numbers and every place."""
    if not card.weeks:
        _too_young(card)
        return
    names = site_names(frame.catalogue, None) | region_names(frame.catalogue) | {GLOBAL_KEY: "The whole network"}
    rows, hits = mine(card.outcomes, frame, asked), mine(card.hits, frame, asked)
    _numbers(rows, hits, card.weeks)
    table = outcome_rows(rows, hits, names, frame.extent.now)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{empty_states.plain(card.note.name)}** against what came: {asked.direction}")
        export.csv_button(table, f"{card.note.name} scorecard", key="card-csv", units=CARD_UNITS)
    st.caption(
        "The real date is the day on which the measured statistic passed the plan's limit of the capacity then in force, on the line from the week before: "
        "what was installed since puts it off. An order is reckoned from its order-by date, or the day of the plan where that had passed, plus the padded "
        "lead time."
    )
    if frame.narrow:
        records = table.to_dict("records")
        titles = [f"**{empty_states.plain(row['Place'])}** {row['Verdict']}" for row in records]
        cards(titles, lambda at: [f"Expected: {records[at]['Expected']}; came: {records[at]['Came']}"], key="card")
        return
    st.dataframe(
        table,
        column_config=_columns() | {name: None for name in ("Idle cost",) if table[name].isna().all()},
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * max(len(table), LEAST_ROWS)),
        placeholder="-",
        key="card",
        alt=f"How the plan did at {len(table)} places",
    )


def _too_young(card: Card) -> None:
    when = "It has no weekly quantiles to be scored by."
    if card.start is not None:
        over = theme.day(scorecards.first_answers(card.start))
        when = f"Its first week is over on {over}, once telemetry of the whole week is taken in; until then nothing is a hit or a miss."
    empty_states.nothing(f"Nothing of {card.note.name} is known yet", when, icon="hourglass_empty")


def mine(rows: pd.DataFrame, frame: Frame, asked: PlanQuery) -> pd.DataFrame:
    """The rows of a direction that pass the filters; regions and the network only where nothing is filtered."""
    chosen = filtered_sites(frame)
    here = rows["direction"] == asked.direction
    return rows[
        here & ((rows["level"] == "site") & rows["key"].isin(chosen) if chosen is not None else True)
    ].reset_index(drop=True)


def _numbers(rows: pd.DataFrame, hits: pd.DataFrame, weeks: int) -> None:
    counts, early = counted(rows), rows["early_days"].dropna()
    off = middle(rows["late_days"].dropna().to_list())
    with st.container(horizontal=True, gap="small", key="card-numbers"):
        tile("Run-out within its interval", held_words(counts), f"{counts['open']} not yet known")
        tile("Median error", "not known yet" if pd.isna(off) else days_off(off), "against the median date")
        tile("Orders in service too late", f"{(early < 0).sum()} of {len(early)}", _typical(-early[early < 0]))
        tile(
            "Orders in service too early",
            f"{(early > 0).sum()} of {len(early)}",
            _typical(early[early > 0]) if not rows["idle_usd"].sum() > 0 else _idle(rows),
        )
        tile("Weekly values under P90", under(hits), f"90 % nominal, {weeks} weeks are over")


def days_off(days: float) -> str:
    """'12 days sooner', '3 days later', '0 days'."""
    return f"{abs(days):.0f} days" + ("" if round(days) == 0 else " later" if days > 0 else " sooner")


def _typical(days: pd.Series) -> str:
    return f"by {days.median():.0f} days, median" if len(days) else "none known"


def _idle(rows: pd.DataFrame) -> str:
    return f"{rows['idle_usd'].sum():,.0f} USD idle so far"


def _calibration(frame: Frame, cards: list[Card], asked: PlanQuery) -> None:
    """All plans together."""
    known = [hits for card in cards if card.weeks and len(hits := mine(card.hits, frame, asked))]
    if not known:
        return
    hits = pd.concat(known, ignore_index=True)
    subtitle = f"{asked.direction}, {counted_words(len(known), 'plan')}, {len(hits):,} values; dotted: nominal; 0: under way when planned"
    rows = scorecards.calibration(hits)
    figure = calibration_chart(rows, subtitle, frame.scheme, f"{asked.direction}_gbps")
    alt = (
        f"Share of measured weekly values under P10, P50 and P90 by weeks ahead; under P90 {under(hits)} over all weeks"
    )
    export.chart(figure, key="plan-calibration", name="plan calibration", alt=alt, data=rows)


def counted_words(count: int, what: str) -> str:
    """'1 plan', '2 plans'."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _columns() -> dict[str, Any]:
    return {
        "Place": TextColumn(pinned=True, width=160),
        "Expected": TextColumn(width=190, help="80 % interval of the run-out date, as the plan gave it"),
        "Came": TextColumn(width=150),
        "Verdict": TextColumn(width=190),
        "Weeks under P90": TextColumn(width=105, help="Measured weeks at or below their P90; nine in ten are expected"),
        "Weeks against P50": NumberColumn(
            "Against P50",
            width=85,
            format="%+.0f %%",
            help="What was measured over the median expected, in the middle of the weeks",
        ),
        "Later by": NumberColumn(
            width=85, format="%+.0f d", help="The real date less the median expected; negative: sooner"
        ),
        "Too early by": NumberColumn(
            width=95,
            format="%+.0f d",
            help="The real date less the day on which the ordered capacity comes into service; negative: too late",
        ),
        "Idle so far": NumberColumn(
            width=90,
            format="%.0f d",
            help="So long the ordered capacity has been in service unneeded, as far as it is known",
        ),
        "Idle cost": NumberColumn(
            width=90, format="dollar", help="Monthly cost of what was to be added, for that time"
        ),
    }

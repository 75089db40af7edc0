"""What capacity costs, what of it lies idle, and what time zones save: stranded headroom, diversity, the hours of the
day, and the bills of partners.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import LineChartColumn, NumberColumn, ProgressColumn, TextColumn

from app import state, theme
from app.cached import SiteFilter, costing
from app.cached.costing import StrandedHeadroom
from app.cached.planning import PlanQuery
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.place import region_names, site_names
from app.ui.site_filter import filtered_sites, no_site_passes
from app.ui.tables import HEADER_PX, ROW_PX, cards, open_clicked, site_column
from app.ui.tile import tile
from app.views.capacity import what_if
from app.views.capacity.cost_charts import WHOLE, bills_chart, hour_strip_chart
from data.schema import GLOBAL_KEY

MOST_PX = 420
IDLE_UNITS = {
    "Capacity": "Gbps",
    "Peak planned for": "Gbps",
    "Needed": "Gbps",
    "Stranded": "Gbps",
    "Of capacity": "%",
    "Costs a month": "USD",
}
BASIS = {
    True: "Peak planned for: the P90 of the highest week of the coming year, over the simulated futures.",
    False: "Peak planned for: the highest measured week of the last quarter, because nothing is forecast in this direction yet.",
}


def draw(frame: Frame, asked: PlanQuery) -> None:
    """The numbers, then each table and chart; bills last, because they are read from every sample of half a year."""
    chosen = filtered_sites(frame)
    if chosen == ():
        no_site_passes()
        return
    outlooks = what_if.outlooks(frame, asked)
    question = asked if outlooks is None else outlooks.question
    found, shared = (
        costing.stranded_headroom(frame.pin, frame.scope, question),
        costing.diversity_factors(frame.pin, frame.scope, question.direction, chosen),
    )
    mine = frozenset(frame.catalogue["site_id"] if chosen is None else chosen)
    kept = found._replace(rows=found.rows[found.rows["site_id"].isin(mine)], declared=found.declared & mine)
    base = (
        costing.stranded_headroom(frame.pin, frame.scope, question._replace(changes="")).rows
        if question.changes
        else None
    )
    numbers(kept.rows, shared, None if base is None else base[base["site_id"].isin(mine)])
    stranded(frame, question, kept)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        strip(frame, question)
    with right:
        diversity(frame, shared)
    draw_bills(frame, chosen)


def numbers(idle: pd.DataFrame, shared: pd.DataFrame, base: pd.DataFrame | None) -> None:
    """What lies idle and what it costs, beside what it is without the what-if (`base`), and what time zones save."""
    known = idle["stranded_usd_month"].notna()
    priced = (
        f"{known.sum()} of {len(idle)} sites at declared prices" if len(idle) else "peaks or capacity are not known"
    )
    if not known.all():
        priced += ", the rest at usual ones"
    network = shared[shared["key"] == GLOBAL_KEY]
    saved = theme.percent(1 - 1 / float(network["factor"].iloc[0])) if len(network) else theme.NO_DATA
    with st.container(horizontal=True, gap="small", key="cost-numbers"):
        of = f"of {theme.gbps(float(idle['capacity_gbps'].sum()))}" + _before(base, "stranded_gbps", theme.gbps)
        tile("Nobody needs", theme.gbps(float(idle["stranded_gbps"].sum())) if len(idle) else theme.NO_DATA, of)
        priced += _before(base, "priced_usd_month", theme.usd)
        tile(
            "It costs a month",
            theme.usd(float(idle["priced_usd_month"].sum())) if len(idle) else theme.NO_DATA,
            priced,
        )
        tile(
            "Time zones save",
            saved,
            "of capacity: the network's peak below the sum of its sites'",
            help_="Weekly peak of the network against the sum of the sites' weekly peaks, median of the last quarter",
        )


def _before(base: pd.DataFrame | None, name: str, said: Callable[[float], str]) -> str:
    """What a sum is without the what-if."""
    return "" if base is None else f"; {said(float(base[name].sum()))} without it"


def stranded(frame: Frame, question: PlanQuery, found: StrandedHeadroom) -> None:
    """Headroom that the limit does not ask for, most USD first."""
    if not found.declared:
        empty_states.nothing(
            f"No {question.direction} capacity is declared for these sites",
            "What lies idle is capacity beyond what the limit asks for.",
            {"Take in a table of capacities": f"python -m data ingest PATH --table capacity --lake {frame.pin.url}"},
            icon="database_off",
        )
        return
    if found.rows.empty:
        st.caption(
            ":material/info: What these sites need is not known: nothing is forecast, and no whole week was measured in the last quarter."
        )
        return
    rows = idle_rows(found.rows, site_names(frame.catalogue, None))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("## Headroom that nobody needs")
        export.csv_button(rows, "stranded capacity", key="stranded-csv", units=IDLE_UNITS)
    added = f", with {theme.gbps(found.added_gbps)} that the what-if adds within a year," if found.added_gbps else ""
    st.caption(
        f"Installed capacity{added} beyond what keeps the peak at {100 * question.limit:g} % of it. {BASIS[found.expected]}"
    )
    keys = list(found.rows["site_id"])
    if frame.narrow:
        records = rows.to_dict("records")
        titles = [
            f"**[{empty_states.plain(row['Site'])}]({state.link('region', site=key)})**"
            for key, row in zip(keys, records, strict=True)
        ]
        cards(titles, lambda at: idle_lines(records[at]), key="stranded")
    else:
        st.dataframe(
            rows,
            column_config=columns(),
            hide_index=True,
            placeholder="-",
            row_height=ROW_PX,
            height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
            key="stranded",
            alt=f"Capacity that nobody needs at {len(rows)} sites",
        )
        open_clicked("stranded.click", keys, set(frame.catalogue["site_id"]))
    if found.rows["stranded_usd_month"].isna().any():
        st.caption(
            "Where no price of a site's capacity is declared, its cost is estimated by what the others pay, or by usual prices."
        )


def idle_lines(row: dict[Any, Any]) -> list[str]:
    """A site's idle capacity in two lines, for a card."""
    return [
        f"Nobody needs **{theme.gbps(row['Stranded'])}** of {theme.gbps(row['Capacity'])} ({row['Of capacity']:.0f} %)",
        f"Peak planned for {theme.gbps(row['Peak planned for'])}; it costs {theme.usd(row['Costs a month'])} a month",
    ]


def idle_rows(idle: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Site, Capacity, Peak planned for, Needed, Stranded (Gbps), Of capacity (percent), Costs a month (USD); in the
    order given.
    """
    shown = {
        "capacity_gbps": "Capacity",
        "peak_gbps": "Peak planned for",
        "needed_gbps": "Needed",
        "stranded_gbps": "Stranded",
    }
    told = idle.rename(columns=shown)[list(shown.values())]
    told.insert(0, "Site", [names.get(key, key) for key in idle["site_id"]])
    return told.assign(
        **{
            "Of capacity": 100 * idle["stranded_share"],
            "Costs a month": idle["priced_usd_month"].astype(float).round(),
        }
    ).reset_index(drop=True)


def columns() -> dict[str, Any]:
    """How each column reads."""
    numbers_of = {
        name: NumberColumn(f"{name}, Gbps", format="%.4g", width=120)
        for name in ("Capacity", "Peak planned for", "Needed")
    } | {"Stranded": NumberColumn("Nobody needs, Gbps", format="%.4g", width=130)}
    return numbers_of | {
        "Site": site_column("stranded.click"),
        "Of capacity": ProgressColumn(width=110, format="%.0f %%", min_value=0, max_value=100),
        "Costs a month": NumberColumn(
            "Costs, USD a month", format="localized", width=130, help="The same share of what the site's capacity costs"
        ),
    }


def strip(frame: Frame, question: PlanQuery) -> None:
    """The hours of the day by region."""
    found = costing.hours(frame.pin, frame.scope, question.direction, filtered_sites(frame))
    names = region_names(frame.catalogue)
    days = costing.HOURS_DAYS
    drawn = hour_strip_chart(
        found.share,
        found.gbps,
        found.capacity_gbps,
        names=names,
        direction=question.direction,
        days=days,
        scheme=frame.scheme,
    )
    busiest = [f"{names.get(str(key), key)} {int(row.idxmax()):02d}:00" for key, row in found.share.iterrows()]
    table = found.gbps.rename(index=names, columns=lambda hour: f"{hour:02d}:00").reset_index(names="Region")
    units = dict.fromkeys(table.columns[1:], "Gbps")
    export.chart(
        drawn,
        key="hour-strip",
        name="hours of the day",
        alt=f"Busiest hour UTC: {', '.join(busiest) or 'not known'}",
        data=table,
        units=units,
    )


def diversity(frame: Frame, shared: pd.DataFrame) -> None:
    """How much less the network and each region peak than the sum of their sites."""
    names = {GLOBAL_KEY: "The whole network", **region_names(frame.catalogue)}
    rows = pd.DataFrame(
        {
            "Place": [names.get(key, key) for key in shared["key"]],
            "Sites": shared["sites"],
            "Factor": shared["factor"],
            "Lowest": shared["low"],
            "Highest": shared["high"],
            "Weeks": shared["weeks"],
        }
    )
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown("**What time zones save**")
        export.csv_button(rows, "diversity factor", key="diversity-csv")
    st.caption(
        "How many times the sites' weekly peaks add up to the weekly peak of their sum: 1 where all peak together."
    )
    if rows.empty:
        st.caption(":material/info: No whole week in which all sites of a region, or of the network, reported.")
        return
    factors = {name: NumberColumn(format="%.3g", width=65) for name in ("Factor", "Lowest", "Highest")}
    st.dataframe(
        rows,
        column_config={
            "Place": TextColumn(width=190, pinned=True),
            "Sites": NumberColumn(width=50),
            "Weeks": NumberColumn(width=55),
            **factors,
        },
        hide_index=True,
        row_height=ROW_PX,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        key="diversity",
        alt=f"Sum of peaks over peak of sum of {len(rows)} places",
    )


BILLS_MOST_PX = 420
_PRICE = "bills.price"
UNITS = dict.fromkeys(("ingest_gbps", "egress_gbps", "billed_gbps", "apart_gbps"), "Gbps") | {
    "completeness": "ratio",
    "usd": "USD",
}


def draw_bills(frame: Frame, chosen: SiteFilter) -> None:
    """A chart of the largest partners and a table of all."""
    st.markdown("## 95th-percentile billing by partner")
    if frame.catalogue["partner"].isna().all():
        st.caption(":material/info: No site names its partner: the column partner of the table sites says who runs it.")
        return
    price = st.session_state.get(_PRICE)
    with st.spinner("Reading half a year of samples", show_time=True):
        rows = costing.bills(frame.pin, frame.scope, price, chosen)
    if rows.empty:
        empty_states.nothing(
            "Nothing to bill",
            "In the last half year no stamp has enough of a partner's sites reporting.",
            icon="receipt_long",
        )
        return
    part = (
        ""
        if chosen is None
        else " Only the sites that pass the filters are added up, which may be less than a partner bills."
    )
    st.caption(
        "Ports are billed by the month's 5-minute sums over a partner's sites with the busiest 5 % struck out, in the busier direction. "
        f"It is a percentile of the sum, never a sum of percentiles.{part}"
    )
    st.number_input(
        "Price, USD a Mbps and month", 0.0, 1000.0, None, 0.01, placeholder="not known", key=_PRICE, width=220
    )
    drawn = bills_chart(rows, scheme=frame.scheme)
    export.chart(drawn, key="bills", name="billing by partner", alt=alt(rows), data=rows, units=UNITS)
    table(bill_rows(rows), rows["month"].max())


def alt(rows: pd.DataFrame) -> str:
    """The chart in a sentence."""
    last = rows[rows["month"] == rows["month"].max()].sort_values("billed_gbps", ascending=False)
    told = [f"{one.partner} {theme.gbps(one.billed_gbps)}" for one in last.head(4).itertuples()]
    return f"Billed in {theme.month(rows['month'].max())}: {', '.join(told)}"


def bill_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each partner, the largest first: Partner, This month, Month before, Change (percent), By site, Pooling
    saves (percent), Months, USD.

    A change is told of whole months alone.
    """
    found = []
    for partner, mine in rows.sort_values("month").groupby("partner"):
        now, before = mine.iloc[-1], mine.iloc[-2] if len(mine) > 1 else None
        whole = before is not None and min(now["completeness"], before["completeness"]) >= WHOLE
        found.append(
            {
                "Partner": partner,
                "Billed": now["billed_gbps"],
                "Seen": 100 * now["completeness"],
                "Month before": None if before is None else before["billed_gbps"],
                "Change": 100 * (now["billed_gbps"] / before["billed_gbps"] - 1)
                if whole and before is not None
                else None,
                "By site": now["apart_gbps"],
                "Pooling saves": 100 * (1 - now["billed_gbps"] / now["apart_gbps"]),
                "Months": mine["billed_gbps"].tolist(),
                "USD": round(now["usd"]) if pd.notna(now["usd"]) else None,
            }
        )
    return pd.DataFrame(found).sort_values("Billed", ascending=False, ignore_index=True)


def table(rows: pd.DataFrame, month: pd.Timestamp) -> None:
    """The partners of the newest month."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{theme.month(month)}**")
        units = dict.fromkeys(("Billed", "Month before", "By site"), "Gbps") | dict.fromkeys(
            ("Seen", "Change", "Pooling saves"), "%"
        )
        export.csv_button(rows.drop(columns=["Months"]), "bills of the month", key="bills-month-csv", units=units)
    empty = {name: None for name in ("USD", "Change") if rows[name].isna().all()}
    st.dataframe(
        rows,
        column_config=bill_columns() | empty,
        hide_index=True,
        placeholder="-",
        row_height=ROW_PX,
        key="bills-table",
        height=min(BILLS_MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        alt=f"Bills of {len(rows)} partners",
    )


def bill_columns() -> dict[str, Any]:
    """How each column reads."""
    return {
        "Partner": TextColumn(width=190, pinned=True),
        "Billed": NumberColumn(
            "Billed, Gbps", format="%.4g", width=95, help="P95 of the sum over the partner's sites, busier direction"
        ),
        "Seen": NumberColumn(
            "Month seen",
            format="%.0f %%",
            width=90,
            help="Part of the month that was measured; the current month goes on",
        ),
        "Month before": NumberColumn("Month before, Gbps", format="%.4g", width=125),
        "Change": NumberColumn(format="%+.1f %%", width=75),
        "By site": NumberColumn(
            "Site by site, Gbps",
            format="%.4g",
            width=120,
            help="The sum of each site's own P95: what separate bills come to",
        ),
        "Pooling saves": NumberColumn(
            "Pooling saves",
            format="%.1f %%",
            width=100,
            help="How much less one bill for the sum is than one for each site",
        ),
        "Months": LineChartColumn(width=100, y_min=0, help="Billed Gbps by month"),
        "USD": NumberColumn("USD", format="localized", width=100),
    }

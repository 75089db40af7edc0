"""What partners bill: the 95th percentile of each month, what it comes to at a price, and what billing site by site
would come to.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import LineChartColumn, NumberColumn, TextColumn

from app import theme
from app.cached import SiteFilter, costing
from app.charts.bills import WHOLE, bills_chart
from app.components import export, states
from app.components.header import Frame
from app.components.ledger import HEADER_PX, ROW_PX

MOST_PX = 420
_PRICE = "bills.price"
UNITS = dict.fromkeys(("ingest_gbps", "egress_gbps", "billed_gbps", "apart_gbps"), "Gbps") | {
    "completeness": "ratio",
    "usd": "USD",
}


def draw(frame: Frame, chosen: SiteFilter) -> None:
    """A chart of the largest partners and a table of all."""
    st.markdown("##### 95th-percentile billing by partner")
    if frame.catalogue["partner"].isna().all():
        st.caption(":material/info: No site names its partner: the column partner of the table sites says who runs it.")
        return
    price = st.session_state.get(_PRICE)
    with st.spinner("Reading half a year of samples", show_time=True):
        rows = costing.bills(frame.pin, frame.scope, price, chosen)
    if rows.empty:
        states.nothing(
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
        column_config=columns() | empty,
        hide_index=True,
        placeholder="-",
        row_height=ROW_PX,
        key="bills-table",
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(rows)),
        alt=f"Bills of {len(rows)} partners",
    )


def columns() -> dict[str, Any]:
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

"""Two to four places, or one place at two times, on one axis, with their totals, peaks and change."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, TextColumn

from app import cached, state, theme
from app.cached import Comparison, Level, Subject
from app.state import PLACES_MOST
from app.ui import export
from app.ui.header import Frame
from app.ui.place import Place, region_names, site_names
from app.ui.tables import HEADER_PX, ROW_PX
from app.ui.time_range import Window
from app.views.region.charts import CompareChart, compare_figure
from data.schema import DEMAND_METRICS, DIRECTION_OF, GLOBAL_KEY, METRIC

EARLIER = {
    "none": "No earlier time",
    "1w": "1 week earlier",
    "4w": "4 weeks earlier",
    "13w": "13 weeks earlier",
    "52w": "52 weeks earlier",
}
SCALES = {"absolute": "Absolute", "capacity": "Of capacity", "indexed": "Indexed"}
FORMS = {"time": "Through time", "week": "By hour of week"}
_PLACES, _EARLIER, _METRIC, _CLICK = "compare.places", "compare.earlier", "compare.metric", "compare.click"


def draw(frame: Frame, place: Place, window: Window) -> None:
    """The choices, and what is chosen side by side; nothing but the choices where nothing is."""
    st.markdown("## Compare")
    names = place_names(frame.catalogue)
    _choices(place, names)
    subjects = subjects_of(place, window)
    if len(subjects) < 2:
        st.caption(f"Choose up to {PLACES_MOST} more places, or an earlier time: they are drawn on one axis.")
        return
    now = state.current()
    found = cached.compare(frame.pin, frame.scope, subjects, now.metric, frame.zone)
    labels = labels_of(subjects, names, place, frame.zone)
    if now.scale == "capacity" and found.hours["share"].isna().all():
        st.caption(f":material/info: There is no declared capacity to hold {METRIC[now.metric].label.lower()} against.")
    chart = CompareChart(
        metric=now.metric,
        scale=now.scale,
        by=now.by,
        labels=labels,
        rows=found.week if now.by == "week" else found.hours,
        start=subjects[0].start,
        end=subjects[0].end,
        zone=frame.zone,
        scheme=frame.scheme,
    )
    export.chart(
        compare_figure(chart),
        key="compare",
        name=f"{place.name} compared",
        alt=f"{METRIC[now.metric].label}, {FORMS[now.by].lower()}, {SCALES[now.scale].lower()}: {', '.join(labels)}",
        data=chart.rows.assign(subject=chart.rows["subject"].map(dict(enumerate(labels)))),
        units={"value": METRIC[now.metric].unit},
        zone=frame.zone,
    )
    _table(frame, subjects, labels, found)


def place_names(catalogue: pd.DataFrame) -> dict[str, str]:
    """Name of every place by level:key: the network, its regions, its sites."""
    return {
        f"global:{GLOBAL_KEY}": "All regions",
        **{f"region:{key}": name for key, name in region_names(catalogue).items()},
        **{f"site:{key}": name for key, name in site_names(catalogue, None).items()},
    }


def subjects_of(place: Place, window: Window) -> tuple[Subject, ...]:
    """The place of the page, and what it is compared with, over the whole hours of the window's past."""
    now = state.current()
    start, end = window.start.floor("h").to_pydatetime(), window.past_end.floor("h").to_pydatetime()
    if start >= end:
        return ()
    own = Subject(place.level, place.key, start, end)
    if now.places:
        pairs = [other.split(":", 1) for other in now.places or () if other != f"{place.level}:{place.key}"]
        return (own, *(Subject(cast("Level", level), key, start, end) for level, key in pairs))
    if now.earlier:
        back = timedelta(weeks=int(now.earlier.removesuffix("w")))
        return (own, own._replace(start=start - back, end=end - back))
    return (own,)


def labels_of(subjects: tuple[Subject, ...], names: dict[str, str], place: Place, zone: str) -> list[str]:
    """Names of places; of one place at several times, the days."""
    if all(subject.key == place.key for subject in subjects):
        spans = [tuple(theme.local(pd.Timestamp(edge), zone) for edge in (s.start, s.end)) for s in subjects]
        return [theme.interval(first, last - timedelta(microseconds=1)) for first, last in spans]
    return [names[f"{subject.level}:{subject.key}"] for subject in subjects]


def _choices(place: Place, names: dict[str, str]) -> None:
    own = f"{place.level}:{place.key}"
    now = state.current()
    st.session_state[_PLACES] = [other for other in now.places or () if other != own]
    st.session_state[_METRIC] = now.metric
    st.session_state[_EARLIER] = now.earlier or "none"
    earlier = EARLIER | ({} if now.earlier is None else {now.earlier: f"{now.earlier[:-1]} weeks earlier"} | EARLIER)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="compare-choices"):
        st.multiselect(
            "Compare with",
            [key for key in names if key != own],
            format_func=names.__getitem__,
            max_selections=PLACES_MOST,
            placeholder="Regions or sites",
            key=_PLACES,
            on_change=_places_chosen,
            width=300,
        )
        st.selectbox(
            "or with its own",
            list(earlier),
            format_func=earlier.__getitem__,
            key=_EARLIER,
            on_change=_earlier_chosen,
            width=180,
        )
        st.selectbox(
            "Metric",
            DEMAND_METRICS,
            format_func=lambda m: METRIC[m].label,
            width=130,
            key=_METRIC,
            on_change=_metric_chosen,
        )
        st.segmented_control("Scale", list(SCALES), format_func=SCALES.__getitem__, **state.bound("scale"))
        st.segmented_control("Draw", list(FORMS), format_func=FORMS.__getitem__, **state.bound("by"))


def _places_chosen() -> None:
    state.update(places=tuple(st.session_state[_PLACES]) or None, earlier=None)


def _metric_chosen() -> None:
    state.update(metric=st.session_state[_METRIC])


def _earlier_chosen() -> None:
    chosen = st.session_state[_EARLIER]
    state.update(earlier=None if chosen == "none" else chosen, places=None)


def _table(frame: Frame, subjects: tuple[Subject, ...], labels: list[str], found: Comparison) -> None:
    """Totals, peaks and change in words; a place's name opens it."""
    rows, metric = found.table, state.current().metric
    is_traffic = metric in DIRECTION_OF
    changes = [
        "" if n == found.base else theme.change(1 + change, 1.0, labels[found.base])
        for n, change in enumerate(rows["change"])
    ]
    written = pd.DataFrame(
        {
            "": labels,
            "Mean": [theme.metric_value(metric, value) for value in rows["mean"]],
            "Change of mean": changes,
            "Peak": [theme.metric_value(metric, value) for value in rows["peak"]],
            "Peak at": ["" if pd.isna(at) else theme.stamp(at, frame.zone) for at in rows["peak_at"]],
            "Of capacity": ["" if theme.missing(share) else theme.percent(share) for share in rows["peak_share"]],
            "P95 of hours": [theme.metric_value(metric, value) for value in rows["p95"]],
            "Total": [theme.terabytes(v) if is_traffic else f"{theme.count(v)} hours watched" for v in rows["total"]],
        }
    )
    are_places = len({subject.key for subject in subjects}) > 1
    link = ButtonColumn(type="tertiary", alignment="left", pinned=True, width=200, key=_CLICK, help="Opens the place")
    st.dataframe(
        written,
        column_config={
            "": link if are_places else TextColumn(pinned=True, width=200),
            "Change of mean": TextColumn(help="Over the hours that both have"),
            "Peak": TextColumn(help="Highest sample"),
            "Of capacity": TextColumn(help="Highest hourly mean over the capacity then installed"),
            "P95 of hours": TextColumn(help="95th percentile of the hourly means"),
        },
        hide_index=True,
        row_height=ROW_PX,
        height=HEADER_PX + ROW_PX * len(written),
        key="compare-table",
    )
    if are_places and (click := st.session_state.get(_CLICK)):
        place = subjects[click["row"]]
        site = place.key if place.level == "site" else None
        region = None if place.level == "global" else place.key
        state.open_page("region", **({"site": site} if site else {"region": region, "site": None}))

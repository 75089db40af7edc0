"""Which sites a page is about: by region, partner and role, held in the URL."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import state
from app.cached import SiteFilter, planning
from app.ui.empty_states import nothing
from app.ui.header import Frame

ROLES = {"ingest": "Ingest sites", "edge": "Edge sites"}


def site_filter(frame: Frame) -> None:
    """The filters that this lake has a use for; on a telephone behind one button."""
    if frame.narrow:
        count = sum(
            value is not None for value in (state.current().region, state.current().partner, state.current().role)
        )
        with st.popover(f"Filters: {count} set" if count else "Filters", icon=":material/filter_alt:", width="stretch"):
            _selects(frame)
    else:
        _selects(frame)


def _selects(frame: Frame) -> None:
    regions, partners = named_regions(frame.catalogue), sorted(frame.catalogue["partner"].dropna().unique())
    with st.container(horizontal=True, gap="small", key="filters"):
        if len(regions) > 1:
            _select("region", "Region", list(regions), regions)
        if len(partners) > 1:
            _select("partner", "Partner", partners, {})
        if len(roles_in(frame.catalogue)) > 1:
            _select("role", "Role", list(ROLES), ROLES)


def _select(name: str, label: str, options: list[str], words: dict[str, str]) -> None:
    st.selectbox(
        label,
        options,
        format_func=lambda option: words.get(option, option),
        placeholder=f"All {label.lower()}s",
        label_visibility="collapsed",
        **state.bound(name),
    )


def named_regions(catalogue: pd.DataFrame) -> dict[str, str]:
    """Regions of the lake by name: region_id to what people call it."""
    named = catalogue.assign(label=catalogue["region_name"].fillna(catalogue["region_id"])).drop_duplicates("region_id")
    return dict(named.sort_values("label")[["region_id", "label"]].itertuples(index=False, name=None))


def roles_in(catalogue: pd.DataFrame) -> set[str]:
    """The different sets of roles that sites have."""
    return set(catalogue["roles"].dropna())


def filtered_sites(frame: Frame) -> SiteFilter:
    """The sites of the viewer's scope that pass all filters; None where all do."""
    chosen, sites = state.current(), frame.catalogue
    passes = pd.Series(True, index=sites.index)
    if chosen.region:
        passes &= sites["region_id"] == chosen.region
    if chosen.partner:
        passes &= sites["partner"] == chosen.partner
    if chosen.role:
        passes &= sites["roles"].fillna("").str.split(",").map(lambda roles: chosen.role in roles)
    return None if passes.all() else tuple(sorted(sites.loc[passes, "site_id"]))


def reporting_sites(frame: Frame, chosen: SiteFilter) -> SiteFilter:
    """The sites of a filter without those that sent nothing for a week: a sum with them would lack too many of its sites
    to be known. As the filter is, where all report or none does.
    """
    sites = planning.site_states(frame.pin, frame.scope, chosen)
    reports = sites["completeness_7d"].fillna(0.0).gt(0.0)
    return chosen if reports.all() or not reports.any() else tuple(sorted(sites.loc[reports, "site_id"]))


def no_site_passes() -> None:
    """Said where the filters leave nothing."""
    nothing(
        "No site passes these filters",
        "Another region, partner or role shows more; the cross in a filter clears it.",
        icon="filter_alt_off",
    )

"""What fails: a site, a region, a partner or a path between two sites, chosen from a list or on the map, and held in
the URL.
"""

from __future__ import annotations

import streamlit as st

from app import cached, state, theme
from app.cached.failures import FailureSpec
from app.components.header import Frame
from app.components.place import region_names, site_names

_CHOICE = "failing.choice"


def choose(frame: Frame, worst: str) -> FailureSpec:
    """Draw the choice; what fails, the site `worst` unless the state names something else."""
    names = choices(frame)
    held = state.current().fails or f"site:{worst}"
    if held not in names:
        names[held] = described(frame, of_text(held))
    st.session_state[_CHOICE] = held
    st.selectbox(
        "What fails",
        list(names),
        format_func=lambda key: names.get(key, key),
        key=_CHOICE,
        on_change=_chosen,
        width=380,
    )
    return of_text(held)


def choices(frame: Frame) -> dict[str, str]:
    """Everything that may be chosen, in words, by its text in a link."""
    sites = frame.catalogue
    found = {f"site:{key}": name for key, name in site_names(sites, None).items()}
    counts = {column: sites[column].value_counts() for column in ("region_id", "partner")}
    found |= {
        f"region:{key}": f"{name}, region of {counts['region_id'][key]} sites"
        for key, name in region_names(sites).items()
    }
    found |= {
        f"partner:{key}": f"{key}, partner with {counts['partner'][key]} sites"
        for key in sorted(counts["partner"].index)
    }
    names = site_names(sites, None)
    for row in cached.ingest_paths(frame.pin, frame.scope).itertuples(index=False):
        text = f"{names.get(row.source_site_id, row.source_site_id)} to {names.get(row.target_site_id, row.target_site_id)}"
        found[f"path:{row.source_site_id}>{row.target_site_id}"] = f"{text}, path of {theme.gbps(row.gbps)}"
    return found


def described(frame: Frame, fails: FailureSpec) -> str:
    """What fails, in a few words."""
    names = site_names(frame.catalogue, None)
    if fails.kind == "path":
        return f"the path from {names.get(fails.source, fails.source)} to {names.get(fails.key, fails.key)}"
    if fails.kind == "partner":
        return fails.key
    return (names if fails.kind == "site" else region_names(frame.catalogue)).get(fails.key, fails.key)


def of_text(text: str) -> FailureSpec:
    """What a link's text, which the state has checked, says."""
    kind, _, key = text.partition(":")
    if kind == "path":
        source, _, target = key.partition(">")
        return FailureSpec("path", target, source)
    return (
        FailureSpec("region", key)
        if kind == "region"
        else FailureSpec("partner", key)
        if kind == "partner"
        else FailureSpec("site", key)
    )


def _chosen() -> None:
    state.update(fails=st.session_state[_CHOICE])

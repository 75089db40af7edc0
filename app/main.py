"""The script behind every page: navigation, the strip on top, then the page itself."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from app import cached
from app.cached import EVERYTHING, HeadroomError
from app.pages import VIEWS, View
from app.ui import empty_states, header

STATIC = Path(__file__).parent / "static"
# Nobody signs in, so that every viewer sees every site: the one place that says so.
VIEWER = EVERYTHING


def draw(view: View) -> None:
    """One page: the strip, then the view, or what stands in its place."""
    with cached.timed_page(view.name):
        try:
            frame = header.page_header(cached.current_pin(), VIEWER, view.name)
            if frame is not None:
                view.show(frame)
        except HeadroomError as error:
            cached.count_error(view.name)
            empty_states.failed(error)


# The icon comes before the navigation: else the browser would ask a font's host for that of the page.
st.set_page_config(page_icon=str(STATIC / "icon.svg"), layout="wide")
st.logo(str(STATIC / f"logo-{header.scheme()}.svg"))
pages = [
    st.Page(partial(draw, view), title=view.title, icon=view.icon, url_path=view.name, default=view is VIEWS[0])
    for view in VIEWS
]
here = st.navigation(pages, position="top")
st.set_page_config(page_title=f"{here.title} - Headroom")
here.run()

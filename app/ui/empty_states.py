"""What a page says when it cannot show what was asked for: what is missing, why, and the command that mends it; errors in
words, counted.
"""

from __future__ import annotations

import re

import streamlit as st

from app import cached
from app.cached import HeadroomError, ObjectStoreError

# The key of the button that asks an object store again.
RETRY = "states.retry"

# Everything that Markdown, Streamlit's directives or LaTeX give a meaning.
_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+.!|~$:&-])")


def plain(text: object) -> str:
    """Foreign text (a name, a value, a path) as Markdown that shows it letter by letter, on one line."""
    return _MARKS.sub(r"\\\1", re.sub(r"\s+", " ", str(text)).strip())


def nothing(title: str, why: str, commands: dict[str, str] | None = None, *, icon: str = "inbox") -> None:
    """An empty state: what is missing, why (plain text), and commands by what they do."""
    with st.container(border=True):
        st.markdown(f"## :material/{icon}: {plain(title)}")
        st.markdown(plain(why))
        for purpose, command in (commands or {}).items():
            st.caption(plain(purpose))
            st.code(command, language="bash", wrap_lines=True)


def no_telemetry(lake: str) -> None:
    """The lake holds no telemetry; the page comes to life once it does."""
    nothing(
        "No telemetry yet",
        f"The lake at {lake} holds no telemetry. This page opens by itself once there is some.",
        {
            "Take in your own Parquet or CSV": f"python -m data ingest PATH --lake {lake}",
            "Or make a simulated network to look around in": f"python -m data demo --lake {lake}",
            "Then fit the forecasts": f"python -m forecasting refresh --lake {lake}",
        },
    )


def partial(what: str, columns: dict[str, str]) -> None:
    """Something needs optional columns that hold nothing here: which, what they mean (meaning by name), and how to
    supply them.
    """
    if not columns:
        return
    names = ", ".join(f"`{name}`" for name in columns)
    theirs = " ".join(f"--map YOURS={name}" for name in columns)
    with st.container(border=True):
        st.markdown(
            f":material/data_info_alert: **{plain(what)}** needs {names}: this lake holds no value of {'it' if len(columns) == 1 else 'them'}."
        )
        st.caption("  \n".join(f"`{name}`: {plain(meaning)}" for name, meaning in columns.items()))
        st.caption("Send them as columns of the telemetry; where yours have other names, map them:")
        st.code(f"python -m data ingest PATH --table telemetry {theirs}", language="bash", wrap_lines=True)


def failed(error: HeadroomError) -> None:
    """An error that Headroom raised on purpose: the problem, its likely cause and the remedy; a store that may answer
    later can be asked again.
    """
    is_store = isinstance(error, ObjectStoreError)
    with st.container(border=True):
        st.markdown(
            "## :material/cloud_off: The lake cannot be reached"
            if is_store
            else "## :material/error: This page cannot be shown"
        )
        st.markdown(plain(error.problem))
        if error.cause:
            st.markdown(f"**Likely cause:** {plain(error.cause)}")
        if error.remedy:
            st.markdown(f"**What mends it:** {plain(error.remedy)}")
        if is_store:
            st.caption("Nothing is lost: the page shows the newest data as soon as the store answers.")
            st.button("Try again", icon=":material/refresh:", key=RETRY, on_click=cached.invalidate_pin)


def crashed() -> None:
    """An error that nobody expected; the log has the rest."""
    with st.container(border=True):
        st.markdown("## :material/error: Something went wrong on this page")
        st.markdown("The server's log says what. The other pages still work; reload this one to try again.")


def on_script_error(error: Exception) -> bool:
    """Show an error instead of its trace. True: it has been shown.

    Called by Streamlit in the place of the page where the error arose, fragments and callbacks included.
    """
    cached.count_error("page")
    if isinstance(error, HeadroomError):
        failed(error)
    else:
        crashed()
    return True

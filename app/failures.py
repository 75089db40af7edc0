"""What becomes of an error that a page lets through: counted and shown in words; Streamlit logs the trace."""

from __future__ import annotations

from app import cached
from app.cached import HeadroomError
from app.components import states


def on_script_error(error: Exception) -> bool:
    """Show an error instead of its trace. True: it has been shown.

    Called by Streamlit in the place of the page where the error arose, fragments and callbacks included.
    """
    cached.count_error("page")
    if isinstance(error, HeadroomError):
        states.failed(error)
    else:
        states.crashed()
    return True

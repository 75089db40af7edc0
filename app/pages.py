"""The pages, in the order of the navigation; the first is the one that opens. A line here adds one; app/state says what
its URL carries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from app.ui.header import Frame
from app.views.capacity import page as capacity
from app.views.data import page as data
from app.views.models import page as models
from app.views.overview import page as overview
from app.views.region import page as region


class View(NamedTuple):
    """A page: its name (also the path of its URL), title, icon, and what draws it."""

    name: str
    title: str
    icon: str
    show: Callable[[Frame], None]


VIEWS: tuple[View, ...] = (
    View("overview", "Overview", ":material/public:", overview.show),
    View("region", "Region", ":material/show_chart:", region.show),
    View("capacity", "Capacity", ":material/event_upcoming:", capacity.show),
    View("models", "Models", ":material/fact_check:", models.show),
    View("data", "Data", ":material/database:", data.show),
)

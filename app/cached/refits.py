"""A series fitted anew with other settings, kept."""

from __future__ import annotations

from app.cached.query_cache import memoize
from data import queries
from data.lake.query import Scope
from data.lake.tables import Pin
from data.queries import reads
from data.schema import Series
from forecasting.models import refit as refitting
from forecasting.models.refit import REFIT_HORIZON, Refit, RefitOptions
from forecasting.panel.panel import Panel

__all__ = ["Refit", "RefitOptions", "refit"]


@memoize
@reads(queries.refit_inputs)
def _panel(pin: Pin, scope: Scope, series: Series) -> Panel | None:
    """All that a refit reads, so that another setting asks the lake for nothing."""
    inputs = queries.refit_inputs(pin, scope, series, REFIT_HORIZON)
    if inputs is None:
        return None
    return refitting.panel_of_one(series, inputs.hours, inputs.events, inputs.sites, inputs.now)


@memoize
@reads(queries.refit_inputs)
def refit(pin: Pin, scope: Scope, series: Series, options: RefitOptions) -> Refit | None:
    """A series fitted anew with other settings, unpublished; None where there is no telemetry."""
    panel = _panel(pin, scope, series)
    return None if panel is None else refitting.refit(panel, series, options)

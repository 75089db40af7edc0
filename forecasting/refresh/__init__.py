"""The one composition root of the forecasts: reads the lake, lets an engine forecast, publishes a run."""

from __future__ import annotations

from forecasting.refresh.run import ENGINES, Summary, refresh

__all__ = ["ENGINES", "Summary", "refresh"]

"""Some series of a lake renewed: the others are carried over from the last run, and what is made up of both follows.

Regions and the network keep to the sums of their sites, renewed or carried over; the weeks of a metric are drawn
jointly, so that those of all its series are replaced together, or none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from data.lake.tables import Pin
from data.queries import Run, latest_run
from data.queries import forecast_inputs as training
from data.schema import DEMAND_METRICS, Series
from data.schema.errors import SettingError
from forecasting.models.engine import IDENTITY, EngineResult
from forecasting.panel.panel import Panel
from forecasting.peaks.weekly_peaks import SCORED
from forecasting.refresh.publishing import RESULT_TABLES

# Drawn for all series of a metric at once.
OF_WEEKS = ("peaks", "paths")


@dataclass(slots=True)
class Made:
    """What a run holds so far. licensed: for each series and horizon that was tested whether its model is; forecast:
    series with a forecast; drawn: metrics whose coming weeks are.
    """

    parts: list[pd.DataFrame] = field(default_factory=list)
    licensed: list[bool] = field(default_factory=list)
    forecast: set[Series] = field(default_factory=set)
    drawn: set[str] = field(default_factory=set)

    def add(self, result: EngineResult) -> None:
        """Count in a part."""
        if len(result.fits):
            self.parts.append(result.fits)
        if len(result.licences):
            self.licensed += result.licences.loc[result.licences["origins"] > 0, "licensed"].tolist()
        self.forecast |= series_of(result.forecasts)
        self.drawn |= {one.metric for one in series_of(result.paths)}

    def fits(self) -> pd.DataFrame:
        """What became of each series."""
        return pd.concat(self.parts, ignore_index=True) if self.parts else pd.DataFrame(columns=[*IDENTITY, "status"])


def series_of(rows: pd.DataFrame) -> set[Series]:
    """Whose rows they are."""
    return (
        {Series(*one) for one in rows[IDENTITY].drop_duplicates().itertuples(index=False, name=None)}
        if len(rows)
        else set()
    )


def renewable(pin: Pin, engine: str) -> Run | None:
    """The run whose other series are carried over, None where there is none; raises SettingError where another engine
    made it.
    """
    last = latest_run(pin)
    if last is not None and last.engine != engine:
        raise SettingError(
            f"Run {last.number} is of the engine {last.engine}, and a part of it cannot be renewed by {engine}: their numbers do not add up.",
            cause="--engine and --series name a part that another engine forecast",
            remedy=f"refresh every series with `--engine {engine}`, or this part with `--engine {last.engine}`",
        )
    return last


def beside(pin: Pin, last: Run | None, panel: Panel) -> pd.DataFrame:
    """The forecasts of the last run that a renewed part must add up with: of its metrics, without its own series."""
    if last is None:
        return pd.DataFrame()
    return training.run_rows(pin, "forecasts", last.run_id, panel.series, {one.metric for one in panel.series})


def carried(pin: Pin, last: Run, made: Made) -> EngineResult:
    """All that the last run says and that what was made does not say anew."""
    renewed = series_of(made.fits())
    kept = {
        name: training.run_rows(pin, name, last.run_id, renewed)
        for name in RESULT_TABLES
        if name not in ("forecasts", "scores", *OF_WEEKS)
    }
    weeks = {name: training.run_rows(pin, name, last.run_id, metrics=_others(made)) for name in OF_WEEKS}
    return EngineResult(
        forecasts=training.run_rows(pin, "forecasts", last.run_id, renewed | made.forecast),
        scores=_scores(pin, last, made),
        **kept,
        **weeks,
    )


def _others(made: Made) -> list[str]:
    return [metric for metric in DEMAND_METRICS if metric not in made.drawn]


def _scores(pin: Pin, last: Run, made: Made) -> pd.DataFrame:
    """Scores of models go with their series, those of weeks with their metric."""
    rows = training.run_rows(pin, "scores", last.run_id)
    renewed = pd.MultiIndex.from_frame(rows[IDENTITY]).isin(series_of(made.fits()))
    weeks = rows["model"].isin(SCORED)
    return rows[(weeks & ~rows["metric"].isin(made.drawn)) | (~weeks & ~renewed)]

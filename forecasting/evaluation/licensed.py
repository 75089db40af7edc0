"""The engine that a lake is refreshed with: the panel's bands, judged forecasts that add up across levels, and the coming weeks' peaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed

import numpy as np
import pandas as pd

from data.schema import QUANTILES, Series
from forecasting.evaluation.agreement import bottom_up
from forecasting.evaluation.foreseen import Foreseen, coming, foresee
from forecasting.evaluation.judged import Judged, Subject, judge
from forecasting.models.engine import IDENTITY, NOTHING, EngineResult, Plan, refusal
from forecasting.models.panel import HOUR, Panel
from forecasting.models.panel_engine import PanelEngine
from forecasting.models.task import HISTORY

# Series that one worker judges at once: enough to share their fits, few enough that every worker has some.
TOGETHER = 32


class LicensedEngine:
    """Judges every series by backtests and draws what won."""

    name = "panel"

    def forecast(self, panel: Panel, plan: Plan, executor: Executor) -> Iterator[EngineResult]:
        """As in `Engine`; bands, fits and evidence come with each part, the forecasts, which must add up, and the coming weeks with the last."""
        able = [series for series in panel.series if refusal(panel.hourly[series], panel.now) is None]
        hours = int(plan.horizon / HOUR)
        waiting: dict[Future[Judged], Subject] = {executor.submit(judge, subject, hours): subject for subject in subjects(panel, able)}
        weeks = [executor.submit(foresee, one) for metric in metrics_of(panel) if (one := coming(panel, metric, plan.seed)) is not None]
        curves = _together(list(PanelEngine().forecast(panel, plan, executor)))
        yield curves._replace(forecasts=NOTHING, fits=curves.fits[curves.fits["status"] != "fitted"])
        drawn = []
        for done in as_completed(list(waiting)):
            judged, subject = done.result(), waiting.pop(done)
            drawn.append(judged)
            yield EngineResult(NOTHING, NOTHING, _fits(curves.fits, subject, judged), judged.licences, judged.scores, judged.backtests)
        yield _last(panel, drawn, curves.forecasts, [one.result() for one in weeks])


def metrics_of(panel: Panel) -> list[str]:
    """The metrics of the panel's series."""
    return sorted({series.metric for series in panel.series})


def _together(parts: Sequence[EngineResult]) -> EngineResult:
    """Parts as one."""
    return EngineResult(*(_joined(frames) for frames in zip(*parts, strict=True)))


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    held = [frame for frame in frames if len(frame)]
    return pd.concat(held, ignore_index=True) if held else NOTHING


def _fits(fits: pd.DataFrame, subject: Subject, judged: Judged) -> pd.DataFrame:
    """The rows of a subject's series; what is drawn in the first day stands as the model, with what a young series borrowed."""
    mine = fits[pd.MultiIndex.from_frame(fits[IDENTITY]).isin(subject.series) & (fits["status"] == "fitted")].copy()
    first = judged.licences.drop_duplicates(IDENTITY).set_index(IDENTITY)["model"]
    names = [first.get(key, "") for key in mine[IDENTITY].itertuples(index=False, name=None)]
    notes = [judged.notes.get(Series(*key)) for key in mine[IDENTITY].itertuples(index=False, name=None)]
    return mine.assign(model=[f"{name}, {note}" if note else f"{name}; {model}" for name, note, model in zip(names, notes, mine["model"], strict=True)])


def subjects(panel: Panel, series: Sequence[Series]) -> list[Subject]:
    """The series in groups whose clocks change together, so that they share their fits; the largest first, so that no worker waits for one."""
    hours = panel.hourly.loc[panel.start - HISTORY :]
    groups: dict[bytes, list[Series]] = defaultdict(list)
    zones: dict[bytes, str] = {}
    for one in series:
        zone = panel.clock(one)
        kind = changes(zone, pd.DatetimeIndex(hours.index))
        groups[kind].append(one)
        zones.setdefault(kind, zone)
    parts = [(zones[kind], members[at : at + TOGETHER]) for kind, members in groups.items() for at in range(0, len(members), TOGETHER)]
    return [_subject(panel, hours, zone, members) for zone, members in sorted(parts, key=lambda part: len(part[1]), reverse=True)]


def _subject(panel: Panel, hours: pd.DataFrame, zone: str, members: Sequence[Series]) -> Subject:
    mates = tuple(f"{panel.regions.get(one.key, one.key) if one.level == 'site' else one.level}, {one.metric}" for one in members)
    first = min(pd.Timestamp(hours[one].first_valid_index()) for one in members)
    return Subject(tuple(members), hours.loc[first:, list(members)], zone, tuple(panel.touching(one) for one in members), mates)


def changes(zone: str, hours: pd.DatetimeIndex) -> bytes:
    """What tells clocks apart that do not change together: the offset of each day from that of the first. A constant offset only turns a Fourier basis."""
    days = pd.date_range(hours[0].floor("D"), hours[-1] + pd.Timedelta(days=90), freq="D")
    offsets = np.asarray((days.tz_convert(zone).tz_localize(None) - days.tz_localize(None)) / HOUR)
    return bytes((2.0 * (offsets - offsets[0])).astype(np.int8))


# What must add up ----------------------------------------------------------------------------------------------------------


def _last(panel: Panel, judged: Sequence[Judged], curves: pd.DataFrame, weeks: Sequence[Foreseen]) -> EngineResult:
    """The forecasts of all series, adding up, Prophet's curve beside them; the peaks and paths."""
    found = _joined([one.forecasts for one in judged])
    if len(found):
        found = agreeing(panel, found)
        beside = curves[[*IDENTITY, "ts", "yhat"]].rename(columns={"yhat": "prophet"})
        found = found.merge(beside, on=[*IDENTITY, "ts"], how="left")
    more = {name: _joined([getattr(one, name) for one in weeks]) for name in Foreseen._fields}
    return EngineResult(found, NOTHING, NOTHING, **more)


def agreeing(panel: Panel, forecasts: pd.DataFrame) -> pd.DataFrame:
    """Forecasts whose regions and network are the sums of their sites, which measured better than forecasts of their own (docs/models.md).

    Quantiles of a sum move with it; they are never sums of quantiles. A group with a site that has no forecast is more than its sites, and stays as it is.
    """
    parts = []
    for metric, rows in forecasts.groupby("metric", sort=False):
        point = rows.pivot_table(index="ts", columns=["level", "key"], values="yhat")
        sites, groups, names = _members(panel, str(metric), point)
        summed = bottom_up(point["site"][sites].to_numpy(), groups)[:, len(sites) :] if groups else np.empty((len(point), 0))
        moves = [
            pd.DataFrame({"level": level, "key": key, "ts": point.index, "move": summed[:, place] - point[level, key].to_numpy()})
            for place, (level, key) in enumerate(names)
        ]
        parts.append(_moved(rows, pd.concat(moves, ignore_index=True)) if moves else rows)
    return pd.concat(parts, ignore_index=True)


def _members(panel: Panel, metric: str, point: pd.DataFrame) -> tuple[list[str], list[np.ndarray[tuple[int], np.dtype[np.int64]]], list[tuple[str, str]]]:
    """The sites with a forecast, the positions that make up each group that can agree, and what those groups are called."""
    sites = [key for level, key in point.columns if level == "site" and point[level, key].notna().all()]
    every = {series.key for series in panel.series if series.level == "site" and series.metric == metric}
    groups, names = [], []
    for level, key in point.columns:
        wanted = {site for site in every if level == "global" or panel.regions.get(site) == key}
        if level != "site" and wanted and wanted <= set(sites):
            groups.append(np.array([place for place, site in enumerate(sites) if site in wanted]))
            names.append((level, key))
    return sites, groups, names


def _moved(rows: pd.DataFrame, moves: pd.DataFrame) -> pd.DataFrame:
    """Rows whose expected value and quantiles are moved, none below zero."""
    by = rows.merge(moves, on=["level", "key", "ts"], how="left")["move"].fillna(0.0).to_numpy()
    names = ["yhat", *QUANTILES]
    return rows.assign(**{name: np.maximum(rows[name].to_numpy() + by, 0.0) for name in names})

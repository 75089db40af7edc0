"""The engine that a lake is refreshed with: the panel's bands, judged forecasts that add up across levels, and the coming weeks' peaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import QUANTILES, Series
from forecasting.evaluation.agreement import Whole, bottom_up
from forecasting.evaluation.foreseen import Foreseen, coming, foresee
from forecasting.evaluation.judged import Judged, Subject, judge
from forecasting.evaluation.weekly import Reals
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
        hours = int(plan.horizon / HOUR)
        waiting: dict[Future[Judged], Subject] = {executor.submit(judge, subject, hours): subject for subject in needed(panel)}
        weeks = [executor.submit(foresee, one) for metric in metrics_of(panel) if (one := coming(panel, metric, plan.seed)) is not None]
        curves = _together(list(PanelEngine().forecast(panel, plan, executor)))
        yield curves._replace(forecasts=NOTHING, fits=curves.fits[curves.fits["status"] != "fitted"])
        drawn = []
        for done in as_completed(list(waiting)):
            judged, subject = _wanted(panel, done.result()), waiting.pop(done)
            drawn.append(judged)
            yield EngineResult(NOTHING, NOTHING, _fits(curves.fits, subject, judged), judged.licences, judged.scores, judged.backtests)
        yield _last(panel, drawn, curves.forecasts, plan.kept, [one.result() for one in weeks])


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


def needed(panel: Panel) -> list[Subject]:
    """The subjects that hold a series to forecast, with their other series: one is judged among the same mates, whichever are forecast beside it."""
    able = [series for series in panel.every if refusal(panel.hourly[series], panel.now) is None]
    return [subject for subject in subjects(panel, able) if not set(panel.series).isdisjoint(subject.series)]


def _wanted(panel: Panel, judged: Judged) -> Judged:
    """What was judged, without the series that were judged only as mates of others."""
    if panel.wanted is None:
        return judged
    return judged._replace(**{name: frame[_among(frame, panel.wanted)] for name, frame in judged._asdict().items() if name != "notes" and len(frame)})


def _among(rows: pd.DataFrame, series: Collection[Series]) -> npt.NDArray[np.bool_]:
    return np.asarray(pd.MultiIndex.from_frame(rows[IDENTITY]).isin(series))


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


def _last(panel: Panel, judged: Sequence[Judged], curves: pd.DataFrame, kept: pd.DataFrame, weeks: Sequence[Foreseen]) -> EngineResult:
    """The forecasts of all series, adding up, Prophet's curve beside them; the peaks and paths."""
    found = _joined([one.forecasts for one in judged])
    if len(found):
        beside = curves[[*IDENTITY, "ts", "yhat"]].rename(columns={"yhat": "prophet"})
        found = found.merge(beside, on=[*IDENTITY, "ts"], how="left")
        whole = agreeing(panel, _joined([found, kept]))
        found = whole[(whole["level"] != "site") | _among(whole, panel.series)]
    more = {name: _joined([getattr(one, name) for one in weeks]) for name in Foreseen._fields}
    return EngineResult(found, NOTHING, NOTHING, **more)


def agreeing(panel: Panel, forecasts: pd.DataFrame) -> pd.DataFrame:
    """Forecasts whose regions and network are the sums of their sites, which measured better than forecasts of their own (docs/models.md).

    Quantiles of a sum move with it; they are never sums of quantiles. A group with a site that has no forecast is more than its sites, and stays as it is.
    Where sites were forecast at different times, a group keeps the hours that all of them have.
    """
    parts = []
    for metric, rows in forecasts.groupby("metric", sort=False):
        point = rows.pivot_table(index="ts", columns=["level", "key"], values="yhat")
        sites, groups, names = _members(panel, str(metric), point)
        summed = _sums(point["site"][sites].to_numpy(), groups) if groups else np.empty((len(point), 0))
        moves = [
            pd.DataFrame({"level": level, "key": key, "ts": point.index, "move": summed[:, place] - point[level, key].to_numpy()})
            for place, (level, key) in enumerate(names)
        ]
        parts.append(_moved(rows, pd.concat(moves, ignore_index=True)) if moves else rows)
    return pd.concat(parts, ignore_index=True)


def _sums(sites: Reals, groups: Sequence[Whole]) -> Reals:
    """(H, G): sums of sites, (H, N), over groups of positions; NaN at an hour that one of a group's sites has no forecast for."""
    known = np.column_stack([np.isfinite(sites[:, members]).all(axis=1) for members in groups])
    return np.where(known, bottom_up(sites, groups)[:, sites.shape[1] :], np.nan)


def _members(panel: Panel, metric: str, point: pd.DataFrame) -> tuple[list[str], list[Whole], list[tuple[str, str]]]:
    """The sites with a forecast, the positions that make up each group that can agree, and what those groups are called."""
    sites = [key for level, key in point.columns if level == "site"]
    every = {series.key for series in panel.every if series.level == "site" and series.metric == metric}
    groups, names = [], []
    for level, key in point.columns:
        wanted = {site for site in every if level == "global" or panel.regions.get(site) == key}
        together = [(level, key), *(("site", site) for site in wanted)]
        if level != "site" and wanted and wanted <= set(sites) and point[together].notna().all(axis=1).any():
            groups.append(np.array([place for place, site in enumerate(sites) if site in wanted]))
            names.append((level, key))
    return sites, groups, names


def _moved(rows: pd.DataFrame, moves: pd.DataFrame) -> pd.DataFrame:
    """Rows whose expected value and quantiles are moved, none below zero; without those whose move is not known."""
    found = rows.merge(moves, on=["level", "key", "ts"], how="left", indicator=True)
    by = found["move"].where(found["_merge"] == "both", 0.0).to_numpy()
    names = ["yhat", *QUANTILES]
    return rows.assign(**{name: np.maximum(rows[name].to_numpy() + by, 0.0) for name in names})[np.isfinite(by)]

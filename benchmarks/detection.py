"""Are anomalies found, at a false-alarm rate that people bear, beside Prophet's band and two usual rules?

    python -m benchmarks.detection [--datasets ../shared/datasets] [--only faults,pooled,events,nab]

One JSON line for each figure. Thresholds are those at which all series of a part together have one false alarm a series
and week: runs of steps above it where nothing is labelled. Every method is causal, with one setting.

faults: recall of faults injected into abilene (13 days; the last one is left out, in which traffic was rerouted and
sites fell silent) and the regions of p2p_live that are seldom idle (four weeks): drops of 40 % for 30 minutes, 20 % for 2
hours and 15 % for 12 hours, a spike of 50 % for 30 minutes, an outage of 90 % for 15 minutes, two of each in every
series, seeded, after eight days (p2p_live: two weeks) that are clean. Runs within an hour are one.
pooled: recall of the two small drops where all sites of a region of abilene lose at once, in the region's total and site
by site.
events: recall of labelled events of ms_cloud (runs within a step are one) and netman_labelled, and the median delay in
steps.
nab: the benchmark's own score, and VUS-PR (Paparrizos et al., 2022) as TSB-AD computes it, with random scores.

prophet_band: how far outside its 95 % band a value lies, in widths, fitted each day; seasonal_median: deviation from the
median of the same time of seven days, in robust scales; spectral_residual: Ren et al. (2019), on windows that end at the
step.

Settings were chosen on the part `chosen`: ingress of abilene, every other region, every other series of ms_cloud, and
the 20 series of nab that TSB-AD does not have; `reported` are egress, the other regions and series, netman and the nine
of TSB-AD.

Measured (chosen / reported): faults abilene 0.55 / 0.57 against 0.26 / 0.36 of Prophet's band, p2p_live 0.16 / 0.10
against 0.02 / 0.03; pooled 0.41 / 0.48 in totals, 0.15 / 0.17 by site; ms_cloud 44 of 65 / 48 of 75 events against
36 / 50, netman 6 of 7 against 6; NAB 63.4 / 54.0, all 59.8; VUS-PR 0.455.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.detection.innovations import anomaly_scores, cycle_steps
from forecasting.models.panel_prophet import panel_quantiles
from forecasting.panel.history import History

Reals = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Method = Callable[[Reals, pd.Timedelta], Reals]
FIVE_MINUTES, DAY, WEEK = pd.Timedelta(minutes=5), pd.Timedelta(days=1), pd.Timedelta(days=7)
# Name, factor and steps of 5 minutes.
FAULTS = (
    ("drop_40_30min", 0.6, 6),
    ("drop_20_2h", 0.8, 24),
    ("spike_50_30min", 1.5, 6),
    ("outage_90_15min", 0.1, 3),
    ("drop_15_12h", 0.85, 144),
)
PLACEMENTS, SEED = 2, 0
# Losses that no single site shows, put into all sites of a region at once.
POOLED_FAULTS, POOLED_PLACEMENTS = ("drop_20_2h", "drop_15_12h"), 8
REGIONS = {
    "west": ("STTLng", "SNVAng", "LOSAng"),
    "mountain": ("DNVRng", "KSCYng", "HSTNng"),
    "lakes": ("CHINng", "IPLSng"),
    "east": ("ATLAng", "ATLAM5", "WASHng", "NYCMng"),
}
PARTS = ("chosen", "reported")
HOUR_STEPS = 12
# A region that is idle in more than a twentieth of its hours is a few viewers.
BUSY_HOURS = 0.95
START = pd.Timestamp("2026-01-05")
# Of spectral residual: points of a window, of the average spectrum, of the local mean, and that the end is extended by.
SPECTRAL_WINDOW, SPECTRUM_MEAN, LOCAL_MEAN, EXTENSION = 576, 3, 20, 5
VUS_THRESHOLDS = 250


@dataclass(frozen=True, slots=True)
class LabelledSeries:
    """Values on an even grid, labels, the steps from which on it counts, and where faults are put: name, factor, first
    and last step.
    """

    name: str
    part: str
    values: Reals
    labels: Flags
    step: pd.Timedelta
    clean: int = 0
    faults: list[tuple[str, float, int, int]] = field(default_factory=list)

    @property
    def weeks(self) -> float:
        """How long it counts."""
        return float((len(self.values) - self.clean) * self.step / WEEK)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Recall of anomalies at a fixed false-alarm rate.")
    parser.add_argument("--datasets", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--only", default=",".join(MEASURES), help="joined by commas (default: %(default)s)")
    options = parser.parse_args(arguments)
    if not options.datasets.is_dir():
        parser.error(f"no data sets at {options.datasets}; name their folder with --datasets")
    for name in options.only.split(","):
        for line in MEASURES[name](options.datasets):
            sys.stdout.write(json.dumps({"bench": "detection", **line}) + "\n")
            sys.stdout.flush()
    return 0


def ours(values: Reals, step: pd.Timedelta) -> Reals:
    """What `python -m forecasting detect` writes."""
    return np.nan_to_num(anomaly_scores(values, step).score)


def prophet_band(values: Reals, step: pd.Timedelta) -> Reals:
    """Widths of the 95 % band that a value lies outside of it, negative inside; fitted each day on the last 28."""
    day = round(DAY / step)
    bands = np.full((len(values), 3), np.nan)
    stamps = pd.date_range(START, periods=len(values), freq=step)
    for start in range(min(3 * day, len(values) // 4), len(values), day):
        first = max(0, start - 28 * day)
        history = History(stamps[first:start], values[first:start, None], (day, 7 * day))
        ahead = min(day, len(values) - start)
        bands[start : start + ahead] = panel_quantiles(history, ahead, [0.025, 0.5, 0.975])[:, 0]
    return outside(values, bands)


def outside(values: Reals, bands: Reals) -> Reals:
    """Widths of a band (T, 3) by which values lie outside of it."""
    width = np.maximum(bands[:, 2] - bands[:, 0], 1e-12)
    outside_by = np.maximum(values - bands[:, 2], bands[:, 0] - values)
    return np.asarray(np.nan_to_num(outside_by / width, nan=-1.0), dtype=float)


def seasonal_median(values: Reals, step: pd.Timedelta) -> Reals:
    """Deviations from the median within two steps of the same time of seven days, in robust scales of a week."""
    cycle = cycle_steps(step)
    shifts = [day * cycle + by for day in range(1, 8) for by in range(-2, 3)]
    same = np.array([np.r_[np.full(min(by, len(values)), np.nan), values[: max(len(values) - by, 0)]] for by in shifts])
    known = np.isfinite(same).any(axis=0)
    usual = np.full(len(values), np.nan)
    usual[known] = np.nanmedian(same[:, known], axis=0)
    deviation = pd.Series(np.abs(values - usual))
    before = deviation.shift(1).rolling(7 * cycle, min_periods=20)
    scale = 0.8 * 1.4826 * before.median().to_numpy() + 0.2 * 1.2533 * before.mean().to_numpy()
    return np.asarray(np.nan_to_num(deviation.to_numpy() / np.maximum(scale, 1e-9), posinf=0.0), dtype=float)


def spectral_residual(values: Reals, step: pd.Timedelta) -> Reals:
    """Saliency of each step over its local mean, in a window that ends there and is extended by five points."""
    del step
    filled = pd.Series(values).ffill().fillna(0.0).to_numpy()
    scores = np.zeros(len(filled))
    windows = np.lib.stride_tricks.sliding_window_view(filled, min(SPECTRAL_WINDOW, len(filled) // 2))
    for first in range(0, len(windows), 2048):
        part = windows[first : first + 2048]
        slopes = (part[:, -1:] - part[:, -1 - EXTENSION : -1]) / np.arange(EXTENSION, 0, -1)
        point = part[:, -EXTENSION : -EXTENSION + 1] + slopes.mean(axis=1, keepdims=True) * EXTENSION
        spectrum = np.fft.fft(np.hstack([part, np.repeat(point, EXTENSION, axis=1)]), axis=1)
        log_amplitude = np.log(np.abs(spectrum) + 1e-8)
        sums = np.cumsum(np.pad(log_amplitude, ((0, 0), (SPECTRUM_MEAN, 0)), mode="edge"), axis=1)
        residual = log_amplitude - (sums[:, SPECTRUM_MEAN:] - sums[:, :-SPECTRUM_MEAN]) / SPECTRUM_MEAN
        saliency = np.abs(np.fft.ifft(np.exp(residual + 1j * np.angle(spectrum)), axis=1))
        last = saliency.shape[1] - EXTENSION - 1
        local = saliency[:, last - LOCAL_MEAN : last].mean(axis=1)
        ends = windows.shape[1] - 1 + first + np.arange(len(part))
        scores[ends] = saliency[:, last] / np.maximum(local, 1e-12) - 1.0
    return scores


METHODS: dict[str, Method] = {
    "ours": ours,
    "prophet_band": prophet_band,
    "seasonal_median": seasonal_median,
    "spectral_residual": spectral_residual,
}


def threshold(scores: Sequence[Reals], unlabelled: Sequence[Flags], budget: float, gap: int) -> float:
    """The lowest score at which all series together have no more false alarms than the budget."""
    values = np.unique(np.concatenate([own[free] for own, free in zip(scores, unlabelled, strict=True)]))[::-1]
    lowest = np.inf
    for rank in np.unique(np.geomspace(1, len(values), 150).round().astype(int)) - 1:
        alarms = sum(runs((own >= values[rank]) & free, gap) for own, free in zip(scores, unlabelled, strict=True))
        if alarms > budget:
            break
        lowest = float(values[rank])
    return lowest


def runs(flags: Flags, gap: int) -> int:
    """Runs of flags, those within `gap` steps taken as one."""
    places = np.flatnonzero(flags)
    return 0 if not len(places) else 1 + int((np.diff(places) > gap).sum())


def segments(labels: npt.NDArray[Any]) -> list[tuple[int, int]]:
    """First and last step of each run of labels."""
    edges = np.diff(np.r_[0, (np.asarray(labels) > 0).astype(int), 0])
    return list(zip(np.flatnonzero(edges == 1).tolist(), (np.flatnonzero(edges == -1) - 1).tolist(), strict=True))


def fault_series(datasets: Path) -> dict[str, list[LabelledSeries]]:
    """The series that faults are put into, by data set, and where."""
    generator = np.random.default_rng(SEED)
    traffic = pd.read_parquet(datasets / "abilene" / "traffic.parquet")
    found: dict[str, list[LabelledSeries]] = {"abilene": [], "p2p_live": []}

    def add(data: str, name: str, part: str, values: Reals, clean: int) -> None:
        faults = placed_faults(generator, len(values), clean, [name for name, _, _ in FAULTS], PLACEMENTS)
        free = np.zeros(len(values), dtype=bool)
        found[data].append(LabelledSeries(name, part, values, free, FIVE_MINUTES, clean, faults))

    for part, column in zip(PARTS, ("ingress_gbps", "egress_gbps"), strict=True):
        wide = traffic.pivot_table(index="ts", columns="node", values=column)
        for node in wide:
            add("abilene", f"{node}/{column}", part, wide[node].to_numpy(float)[: 13 * 288], 8 * 288)
    rows = pd.read_parquet(datasets / "p2p_live" / "by_country_5min.parquet")
    wide = rows.pivot_table(index="ts", columns="region", values="p2p_in_gbps")
    wide = wide.reindex(pd.date_range(wide.index.min(), wide.index.max(), freq=FIVE_MINUTES)).fillna(0.0)
    busy = (wide.resample("1h").mean() > 0).mean() >= BUSY_HOURS
    for place, region in enumerate(busy.index[busy]):
        add("p2p_live", str(region), PARTS[place % 2], wide[region].to_numpy(float)[-28 * 288 :], 14 * 288)
    return found


def placed_faults(
    generator: np.random.Generator, steps: int, clean: int, names: Sequence[str], placements: int
) -> list[tuple[str, float, int, int]]:
    """Faults by name, factor, first and last step, anywhere after the clean steps."""
    return [
        (name, factor, first := int(generator.integers(clean, steps - length)), first + length - 1)
        for name, factor, length in FAULTS
        if name in names
        for _ in range(placements)
    ]


def measure_pooled(datasets: Path) -> Iterator[dict[str, Any]]:
    """Recall of small losses in all sites of a region of abilene, in the region's total, and in its sites one by one."""
    traffic = pd.read_parquet(datasets / "abilene" / "traffic.parquet")
    for part, column in zip(PARTS, ("ingress_gbps", "egress_gbps"), strict=True):
        wide = traffic.pivot_table(index="ts", columns="node", values=column).iloc[: 13 * 288]
        generator = np.random.default_rng(SEED)
        free, clean = np.zeros(len(wide), dtype=bool), 8 * 288
        totals, sites = [], []
        for region, nodes in REGIONS.items():
            faults = placed_faults(generator, len(wide), clean, POOLED_FAULTS, POOLED_PLACEMENTS)
            total = wide[list(nodes)].sum(axis=1).to_numpy(float)
            totals.append(LabelledSeries(region, part, total, free, FIVE_MINUTES, clean, faults))
            sites += [
                LabelledSeries(node, part, wide[node].to_numpy(float), free, FIVE_MINUTES, clean, faults)
                for node in nodes
            ]
        for method in ("ours", "prophet_band"):
            for level, series in (("region", totals), ("site", sites)):
                hits = fault_hits(METHODS[method], series)
                yield {
                    "measure": "pooled",
                    "part": part,
                    "method": method,
                    "level": level,
                    "faults": sum(len(own) for own in hits.values()),
                    "recall": round(float(np.mean([hit for own in hits.values() for hit in own])), 3),
                    **{name: round(float(np.mean(own)), 2) for name, own in hits.items()},
                }


def measure_faults(datasets: Path) -> Iterator[dict[str, Any]]:
    """Recall of injected faults, by data set and part, and of all."""
    for method in ("ours", "prophet_band"):
        pooled: list[bool] = []
        for data, every in fault_series(datasets).items():
            for part in PARTS:
                series = [own for own in every if own.part == part]
                hits = fault_hits(METHODS[method], series)
                every_hit = [hit for own in hits.values() for hit in own]
                pooled += every_hit
                yield {
                    "measure": "faults",
                    "data": data,
                    "part": part,
                    "method": method,
                    "series": len(series),
                    "recall": round(float(np.mean(every_hit)), 3),
                    **{name: round(float(np.mean(own)), 2) for name, own in hits.items()},
                }
        yield {
            "measure": "faults",
            "data": "all",
            "method": method,
            "faults": len(pooled),
            "recall": round(float(np.mean(pooled)), 3),
        }


def fault_hits(method: Method, series: Sequence[LabelledSeries]) -> dict[str, list[bool]]:
    """Whether each fault is found while it lasts, by kind."""
    clean = [method(own.values, own.step)[own.clean :] for own in series]
    free = [np.ones(len(scores), dtype=bool) for scores in clean]
    limit = threshold(clean, free, sum(own.weeks for own in series), HOUR_STEPS)
    hits: dict[str, list[bool]] = {}
    for own in series:
        for name, factor, first, last in own.faults:
            values = np.copy(own.values[: last + 1])  # noqa: PD011 - no frame
            values[first:] *= factor
            hits.setdefault(name, []).append(bool((method(values, own.step)[first:] >= limit).any()))
    return hits


def labelled_series(datasets: Path) -> dict[str, list[LabelledSeries]]:
    """Labelled series by data set."""
    points = pd.read_parquet(datasets / "ms_cloud" / "points.parquet")
    steps = pd.read_parquet(datasets / "ms_cloud" / "series.parquet").set_index("series_id")["step_min"]
    ms_cloud = [
        on_grid(str(name), PARTS[place % 2], own.drop_duplicates("ts"), pd.Timedelta(minutes=int(steps[name])))
        for place, (name, own) in enumerate(points.groupby("series_id", observed=True))
    ]
    netman = pd.read_parquet(datasets / "netman_labelled" / "points.parquet")
    return {"ms_cloud": ms_cloud, "netman": [on_grid("netman", "reported", netman, FIVE_MINUTES)]}


def on_grid(name: str, part: str, rows: pd.DataFrame, step: pd.Timedelta) -> LabelledSeries:
    """Rows with ts, value and label on an even grid."""
    rows = rows.sort_values("ts")
    places = ((rows["ts"] - rows["ts"].iloc[0]) / step).round().to_numpy(dtype=int)
    values, labels = np.full(places[-1] + 1, np.nan), np.zeros(places[-1] + 1, dtype=bool)
    values[places], labels[places] = rows["value"].to_numpy(float), rows["label"].to_numpy() > 0
    return LabelledSeries(name, part, values, labels, step)


def measure_events(datasets: Path) -> Iterator[dict[str, Any]]:
    """Recall of labelled events, by data set and part."""
    for data, every in labelled_series(datasets).items():
        for part in PARTS:
            series = [own for own in every if own.part == part]
            for name, method in METHODS.items() if series else ():
                scores = [method(own.values, own.step) for own in series]
                free = [~own.labels for own in series]
                budget = sum(own.weeks for own in series)
                limit = threshold(scores, free, budget, HOUR_STEPS if data == "netman" else 1)
                delays = [
                    int(np.argmax(own_scores[first : last + 1] >= limit))
                    for own_scores, own in zip(scores, series, strict=True)
                    for first, last in segments(own.labels)
                    if (own_scores[first : last + 1] >= limit).any()
                ]
                events = sum(len(segments(own.labels)) for own in series)
                yield {
                    "measure": "events",
                    "data": data,
                    "part": part,
                    "method": name,
                    "threshold": round(limit, 3),
                    "found": len(delays),
                    "events": events,
                    "recall": round(len(delays) / events, 3),
                    "median_delay_steps": float(np.median(delays)) if delays else None,
                }


def measure_nab(datasets: Path) -> Iterator[dict[str, Any]]:
    """The score of NAB, and VUS-PR, by part, of ours and of random scores."""
    spec = importlib.util.spec_from_file_location("nab_score", datasets / "nab" / "nab_score.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(datasets / "nab" / "nab_score.py")
    nab_score = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(nab_score)
    points = pd.read_parquet(datasets / "nab" / "points.parquet")
    windows = pd.read_parquet(datasets / "nab" / "windows.parquet")
    tsb_ad = pd.read_parquet(datasets / "nab" / "tsb_ad_series.parquet").set_index("series")
    generator = np.random.default_rng(SEED)
    scored = {"ours": nab_scores(points), "random": pd.Series(generator.random(len(points)), index=points.index)}
    parts = {
        "chosen": [name for name in points["file"].unique() if name not in tsb_ad.index],
        "reported": list(tsb_ad.index),
        "all": list(points["file"].unique()),
    }
    for method, scores in scored.items():
        rows = points.assign(score=scores)
        for part, names in parts.items():
            own = rows[rows["file"].isin(names)].assign(file=lambda frame: frame["file"].astype(str))
            figure, _ = nab_score.score(own, windows[windows["file"].isin(names)])
            yield {
                "measure": "nab",
                "part": part,
                "method": method,
                "series": len(names),
                "nab": round(float(figure), 1),
            }
        by_series = {}
        for name, series in tsb_ad.iterrows():
            own_scores = rows.loc[rows["file"] == name, "score"].to_numpy(float)[series["first_row"] :][
                : series["rows"]
            ]
            labels = np.zeros(series["rows"])
            for first, end in zip(series["label_start"], series["label_end"], strict=True):
                labels[first:end] = 1.0
            by_series[str(name)] = round(vus_pr(labels, own_scores, int(series["buffer"])), 3)
        mean = round(float(np.mean(list(by_series.values()))), 3)
        yield {"measure": "vus_pr", "part": "reported", "method": method, "vus_pr": mean, "by_series": by_series}


def nab_scores(points: pd.DataFrame) -> pd.Series:
    """Our scores of NAB's rows."""
    scores = pd.Series(0.0, index=points.index)
    for _, own in points.groupby("file", observed=True):
        step = pd.Timedelta(own["ts"].diff().mode().iloc[0])
        grid = on_grid("", "", own.rename(columns={"in_window": "label"}), step)
        places = ((own["ts"] - own["ts"].iloc[0]) / step).round().to_numpy(dtype=int)
        scores[own.index] = ours(grid.values, step)[places]
    return scores


def vus_pr(labels: Reals, scores: Reals, buffer: int) -> float:
    """Volume under the surface of precision, recall and buffer, as TSB-AD computes it: labels fall off by a root over
    half a buffer on both sides, recall is weighted with the share of segments that are hit.
    """
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    limits = descending[np.linspace(0, len(scores) - 1, VUS_THRESHOLDS).astype(int)]
    flagged = np.searchsorted(-descending, -limits, side="right")
    areas = []
    for width in range(buffer + 1):
        extended, zones = _extended(labels, width)
        hits = np.r_[0.0, np.cumsum(extended[order])][flagged]
        beside = np.r_[0.0, np.cumsum((extended * (labels == 0))[order])][flagged]
        highest = np.array([scores[first : last + 1].max() for first, last in zones])
        exist = (highest[None, :] >= limits[:, None]).mean(axis=1)
        recall = np.minimum(hits / (labels.sum() + beside / 2), 1.0) * exist
        areas.append(float(np.diff(np.r_[0.0, recall]) @ (hits / flagged)))
    return float(np.mean(areas))


def _extended(labels: Reals, width: int) -> tuple[Reals, list[tuple[int, int]]]:
    """Labels with their slopes, and the zones that these make."""
    extended, half, last_step = labels.copy(), width // 2, len(labels) - 1
    parts = segments(labels)
    for first, last in parts:
        after, before = np.arange(last + 1, min(last + half, last_step) + 1), np.arange(max(first - half, 0), first)
        extended[after] += np.sqrt(1 - (after - last) / max(width, 1))
        extended[before] += np.sqrt(1 - (first - before) / max(width, 1))
    zones, start = [], max(parts[0][0] - half, 0)
    for (_, last), (following, _) in pairwise(parts):
        if last + half < following - half:
            zones.append((start, last + half))
            start = following - half
    return np.minimum(extended, 1.0), [*zones, (start, min(parts[-1][1] + half, last_step))]


MEASURES: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    "faults": measure_faults,
    "pooled": measure_pooled,
    "events": measure_events,
    "nab": measure_nab,
}

if __name__ == "__main__":
    sys.exit(main())

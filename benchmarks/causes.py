"""How often is the cause that operators named for a stall incident among the first that are ranked?

    python -m benchmarks.causes [--datasets ../shared/datasets]

One JSON line for each part and ranking: right at 1, 3 and 5 (an answer is right when it equals the labelled cause
exactly) with 95 % intervals by resampling channels. Beside it the five single values with the most stalled viewers
(`trivial`) and the answers that the incidents' authors published, whose method was built on them. Then how often a cause
is named: at the incidents, and on the quiet minutes before them, all and those with enough earlier minutes to name one;
minutes that hold another labelled incident of the channel are left out. Milliseconds a case.

Channels in alphabetical order go alternately to the part `chosen`, on which factors and precisions were chosen, and to
`reported`.

Measured (chosen, 31 cases / reported, 37 / all): right at 1 in 0.81 / 0.86 / 0.84, at 3 in 0.97 / 0.95 / 0.96, at 5 in
1.00 / 0.95 / 0.97; published answers 0.66, 0.90 and 1.00 of all, trivial 0.21, 0.50, 0.53. A cause is named at 28 / 33 of
the incidents, at 2 of 197 / 7 of 291 quiet minutes, 2 of 75 / 7 of 143 of those with five earlier minutes. 8 ms a case.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasting.detection.causes import MIN_HISTORY_MINUTES, Cause, localise

ATTRIBUTES = ("cdn", "bitrate", "p2p", "device", "isp")
AT = (1, 3, 5)
PARTS = ("chosen", "reported", "all")
RESAMPLES, SEED = 2000, 0
Answer = frozenset[frozenset[tuple[str, str]]]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Root causes of labelled stall incidents.")
    parser.add_argument("--datasets", type=Path, default=Path("../shared/datasets"))
    folder = parser.parse_args(arguments).datasets / "robustspot"
    if not folder.is_dir():
        parser.error(f"there is no folder {folder}; name that of the data sets with --datasets")
    for line in lines(folder):
        sys.stdout.write(json.dumps({"bench": "causes", **line}) + "\n")
    return 0


def lines(folder: Path) -> Iterator[dict[str, Any]]:
    """Every figure, by part."""
    truth = pd.read_parquet(folder / "truth.parquet")
    rows = pd.read_parquet(folder / "rows.parquet").rename(
        columns={"stalling_viewers": "bad", "total_viewers": "total"}
    )
    cases = {str(case): frame for case, frame in rows.groupby("case_id", observed=True)}
    incidents = truth.groupby("case_id")[["incident_minute", "channel"]].first()
    labels = {case: answers[0] for case, answers in labelled(truth).items()}
    localise(cases[incidents.index[0]], incidents["incident_minute"].iloc[0], ATTRIBUTES)  # nothing is warm before it
    causes, seconds = {}, {}
    for case, incident in incidents.iterrows():
        start = time.perf_counter()
        causes[case] = localise(cases[case], incident["incident_minute"], ATTRIBUTES)
        seconds[case] = time.perf_counter() - start
    rankings = {
        "ours": {case: [canonical(cause.elements) for cause in found] for case, found in causes.items()},
        "trivial": {case: trivial(cases[case], incidents["incident_minute"][case]) for case in labels},
        "published": labelled(pd.read_parquet(folder / "published_answers.parquet")),
    }
    quiet = {case: quiet_minutes(case, cases[case], incidents) for case in labels}
    named = {case: [is_named(cases[case], minute) for minute in minutes] for case, minutes in quiet.items()}
    for part, members in parts(incidents).items():
        for ranking, answers in rankings.items():
            yield {
                "part": part,
                "ranking": ranking,
                "cases": len(members),
                **score(answers, labels, members, incidents),
            }
        enough = [flag for case in members for flag in named[case][MIN_HISTORY_MINUTES - 1 :]]
        every = [flag for case in members for flag in named[case]]
        yield {
            "part": part,
            "incidents_named": sum(causes[case][0].named for case in members),
            "quiet_minutes": len(every),
            "quiet_named": sum(every),
            "quiet_share": round(float(np.mean(every)), 4),
            "quiet_with_history": len(enough),
            "quiet_with_history_named": sum(enough),
            "quiet_with_history_share": round(float(np.mean(enough)), 4),
            "ms_median": round(1000 * statistics.median(seconds[case] for case in members), 1),
            "ms_worst": round(1000 * max(seconds[case] for case in members), 1),
        }


def parts(incidents: pd.DataFrame) -> dict[str, list[str]]:
    """Cases by part: every other channel."""
    place = {channel: number % 2 for number, channel in enumerate(sorted(incidents["channel"].unique()))}
    by_part = incidents["channel"].map(place)
    return {
        "chosen": list(incidents.index[by_part == 0]),
        "reported": list(incidents.index[by_part == 1]),
        "all": list(incidents.index),
    }


def canonical(elements: Sequence[Mapping[str, Any]]) -> Answer:
    """A cause as a set of sets: order and the type of a number do not matter."""
    return frozenset(frozenset((name, _text(value)) for name, value in element.items()) for element in elements)


def _text(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def labelled(table: pd.DataFrame) -> dict[str, list[Answer]]:
    """The causes of a table by case, best first; a row is an element."""
    answers: dict[str, list[Answer]] = {}
    ranks = table["rank"] if "rank" in table else pd.Series(0, index=table.index)
    for (case, _), elements in table.groupby(["case_id", ranks]):
        cause = [{name: row[name] for name in ATTRIBUTES if pd.notna(row[name])} for _, row in elements.iterrows()]
        answers.setdefault(str(case), []).append(canonical(cause))
    return answers


def trivial(rows: pd.DataFrame, minute: pd.Timestamp) -> list[Answer]:
    """The five single values with the most stalled viewers."""
    now = rows[rows["minute"] == minute]
    stalled = pd.concat(
        {name: now.groupby(name, observed=True)["bad"].sum() for name in ATTRIBUTES if now[name].notna().any()}
    ).sort_values(ascending=False, kind="stable")
    return [canonical([{str(name): value}]) for name, value in stalled.index[: AT[-1]]]


def quiet_minutes(case: str, rows: pd.DataFrame, incidents: pd.DataFrame) -> list[pd.Timestamp]:
    """Minutes before the incident that have an earlier one and hold no labelled incident of the channel."""
    channel = incidents["channel"][case]
    labelled_minutes = set(incidents.loc[incidents["channel"] == channel, "incident_minute"])
    before = sorted(minute for minute in rows["minute"].unique() if minute < incidents["incident_minute"][case])
    return [minute for minute in before[1:] if minute not in labelled_minutes]


def is_named(rows: pd.DataFrame, minute: pd.Timestamp) -> bool:
    """Whether any cause is named."""
    causes: list[Cause] = localise(rows, minute, ATTRIBUTES)
    return any(cause.named for cause in causes)


def score(
    answers: Mapping[str, Sequence[Answer]],
    labels: Mapping[str, Answer],
    members: Sequence[str],
    incidents: pd.DataFrame,
) -> dict[str, Any]:
    """Share of cases that are right at each k, with an interval by resampling channels."""
    right = pd.DataFrame(
        {f"at_{k}": [labels[case] in list(dict.fromkeys(answers.get(case, ())))[:k] for case in members] for k in AT},
        index=members,
    )
    by_channel = right.groupby(incidents["channel"].loc[members].to_numpy()).agg(["sum", "size"])
    draws = np.random.default_rng(SEED).integers(len(by_channel), size=(RESAMPLES, len(by_channel)))
    figures: dict[str, Any] = {}
    for name in right:
        sums, sizes = by_channel[name]["sum"].to_numpy(), by_channel[name]["size"].to_numpy()
        low, high = np.quantile(sums[draws].sum(axis=1) / sizes[draws].sum(axis=1), [0.025, 0.975])
        figures[str(name)] = round(float(right[name].mean()), 3)
        figures[f"{name}_95"] = [round(float(low), 3), round(float(high), 3)]
    return figures


if __name__ == "__main__":
    sys.exit(main())

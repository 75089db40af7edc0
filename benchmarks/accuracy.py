"""How accurate is what is drawn, on real series that were held back, beside Prophet at its defaults and the best
baseline?

    python -m benchmarks.accuracy [--datasets ../shared/datasets] [--only abilene,m4_hourly] [--without-prophet]

One JSON line for each data set, part and model: MASE, WAPE, sMAPE, OWA, coverage of the 80 and the 95 % band, MSIS;
`ratio_to_prophet` is MASE over Prophet's, `msis_to_prophet` the same of MSIS, `ratio_to_best_baseline` MASE over that
of the best baseline. M4 comes with rows of its published table.

Membership of the pool, powers, margins and bands were chosen on the part `chosen` and are to be judged on the part
`reported`:
abilene: ingress of the nodes / their egress, the last 7, 5, 4 and 3 days of 14 held back; p2p_live: the third and
second week from the end / the last week (p2p_live_busy: of the regions that are seldom idle, p2p_live_total: of the
network); zabbix_link: the weeks 7 to 12 from the end / the last 6; worldcup98: the week before the last / the last;
m4_hourly: every other series, from the first / from the second, and all. Hourly means, seasons of a day and a week,
MASE scaled by the day as in M4. Everything is fitted anew at each origin. One rule came after both parts had been seen:
that the best baseline, too, is judged without hindsight.

Measured (chosen / reported): what is drawn over Prophet: abilene 0.29 / 0.39, p2p_live 0.79 / 0.77 (busy 0.77 / 0.73,
total 0.57 / 0.59), zabbix_link 0.33 / 0.48, worldcup98 0.30 / 0.76; over the best baseline: 0.78 / 0.95, 0.93 / 0.93
(busy 0.95 / 0.94, total 1.03 / 0.98), 1.01 / 1.12, 0.93 / 0.92; M4's OWA 0.389 / 0.438, all 207 series 0.406.
`benchmarks.coverage` says from every day whether the bands hold; both are discussed in docs/methods.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from forecasting.cli.backtest import score_origin
from forecasting.cli.model_comparison import LICENSED, PROPHET, Scoreboard, default_models
from forecasting.cli.panel_file import PanelPart
from forecasting.models.ensemble import baselines
from forecasting.panel.history import History
from forecasting.refresh.workers import pool

SEASONS = (24, 168)
WEEK = 168
PARTS = ("chosen", "reported")
# Places of M4's published table that say where a figure stands.
PUBLISHED_ROWS = 5
M4_HORIZON = 48
# A region that is idle in more than a twentieth of its hours is a few viewers, whose comings and goings nothing
# forecasts.
BUSY_HOURS = 0.95


class Held(NamedTuple):
    """One hold-out: hourly values with a column for each series, of which the last `known` to `known + horizon` are
    held back.
    """

    data: str
    part: str
    hours: pd.DataFrame
    known: int
    horizon: int


def main() -> None:
    """Measure, and print a line for each data set, part and model."""
    parser = argparse.ArgumentParser(description="Accuracy and coverage on held-back real series.")
    parser.add_argument("--datasets", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--only", default=",".join(SETS), help="names, joined by commas (default: %(default)s)")
    parser.add_argument("--without-prophet", action="store_true", help="leave the slow one out")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if not options.datasets.is_dir():
        sys.exit(f"no real data sets at {options.datasets}; name their folder with --datasets")
    models = [*default_models(SEASONS), *([] if options.without_prophet else [PROPHET])]
    with ExitStack() as stack:
        executor = None if options.without_prophet else stack.enter_context(pool(options.workers))
        for name in options.only.split(","):
            measure(list(SETS[name](options.datasets)), models, executor)
            if name == "m4_hourly":
                published(options.datasets)


def measure(held: list[Held], models: list[str], executor: Executor | None) -> None:
    """Score all hold-outs of a data set, and print the lines of each part."""
    for part in dict.fromkeys(one.part for one in held):
        board = Scoreboard()
        for one in (one for one in held if one.part == part):
            values = one.hours.to_numpy(dtype=float)
            history = History(pd.DatetimeIndex(one.hours.index[: one.known]), values[: one.known], SEASONS)
            score_origin(
                board,
                PanelPart(tuple(map(str, one.hours.columns)), history),
                values[one.known : one.known + one.horizon],
                models,
                executor,
            )
        rows = {model: board.row(model, board.series) for model in models}
        for model in models:
            say(
                {
                    "benchmark": "accuracy",
                    "data": held[0].data,
                    "part": part,
                    "series": len(board.series),
                    **compared(rows, model),
                }
            )


def compared(rows: dict[str, dict[str, Any]], model: str) -> dict[str, Any]:
    """A row with its ratios to Prophet and to the best baseline."""
    best = min((rows[name] for name in baselines(SEASONS)), key=lambda row: row["mase"])
    found = rows[model] | {
        "ratio_to_best_baseline": round(rows[model]["mase"] / best["mase"], 3),
        "best_baseline": best["model"],
    }
    if PROPHET in rows:
        ratios = (("ratio_to_prophet", "mase"), ("msis_to_prophet", "msis_95"))
        found |= {name: round(rows[model][by] / rows[PROPHET][by], 3) for name, by in ratios}
    return found if model == LICENSED else {name: value for name, value in found.items() if name != "best_baseline"}


def say(line: dict[str, Any]) -> None:
    """One JSON line, at once."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def published(datasets: Path) -> None:
    """Rows of M4's own table, on all 414 hourly series."""
    table = (
        pd.read_parquet(datasets / "m4_hourly" / "published_scores.parquet")
        .dropna(subset="owa_hourly")
        .sort_values("owa_hourly")
    )
    named = table[table["method"].isin(["245", "sNaive", "Naive2", "Theta"])]
    for row in pd.concat([table.head(PUBLISHED_ROWS), named]).drop_duplicates("method").itertuples():
        scores = {
            "smape": row.smape_hourly,
            "mase": row.mase_hourly,
            "owa": round(row.owa_hourly, 4),
            "msis_95": row.msis_hourly,
        }
        plain = {name: None if pd.isna(value) else value for name, value in scores.items()}
        say(
            {
                "benchmark": "accuracy",
                "data": "m4_hourly",
                "part": "published",
                "series": 414,
                "model": f"M4 {row.method}: {row.team}",
                **plain,
            }
        )


def abilene(datasets: Path) -> Iterator[Held]:
    """Ingress and egress of every node."""
    rows = pd.read_parquet(datasets / "abilene" / "traffic.parquet")
    for part, column in zip(PARTS, ("ingress_gbps", "egress_gbps"), strict=True):
        values = rows.pivot_table(index="ts", columns="node", values=column, observed=True).resample("h").mean()
        for days in (7, 5, 4, 3):
            yield Held("abilene", part, values, len(values) - 24 * days, 24 * days)


def p2p_live(datasets: Path) -> Iterator[Held]:
    """Received and sent traffic and viewers of every region; an absent row on a present day is zero, as the data sets'
    README says.
    """
    rows = pd.read_parquet(datasets / "p2p_live" / "by_country_5min.parquet")
    columns = ["p2p_in_gbps", "p2p_out_gbps", "active_receivers"]
    grids = {
        name: rows.pivot_table(index="ts", columns="region", values=name, observed=True).fillna(0.0) for name in columns
    }
    wide = pd.concat(grids, axis="columns", sort=True)
    wide.columns = [" ".join(map(str, column)) for column in wide.columns]
    return weekly("p2p_live", wide.resample("h").mean(), chosen=(3, 2), reported=(1,))


def p2p_live_total(datasets: Path) -> Iterator[Held]:
    """Received and sent traffic and viewers of the network, the sums of p2p_live's regions."""
    for held in p2p_live(datasets):
        yield held._replace(data="p2p_live_total", hours=held.hours.T.groupby(lambda name: name.split()[0]).sum().T)


def p2p_live_busy(datasets: Path) -> Iterator[Held]:
    """Those of p2p_live that carry something in nearly every hour before anything is held back for choosing."""
    for held in p2p_live(datasets):
        early = held.hours.iloc[: len(held.hours) - 3 * WEEK]
        yield held._replace(data="p2p_live_busy", hours=held.hours.loc[:, (early > 0.0).mean() >= BUSY_HOURS])


def zabbix_link(datasets: Path) -> Iterator[Held]:
    """Mean traffic of one interface."""
    values = (
        pd.read_parquet(datasets / "zabbix_link" / "hourly.parquet").set_index("ts")[["avg_mbps"]].resample("h").mean()
    )
    return weekly("zabbix_link", values, chosen=tuple(range(12, 6, -1)), reported=tuple(range(6, 0, -1)))


def worldcup98(datasets: Path) -> Iterator[Held]:
    """Requests of a site in whole hours."""
    values = (
        pd.read_parquet(datasets / "worldcup98" / "requests_5min.parquet")
        .set_index("ts")[["requests"]]
        .resample("h")
        .mean()
    )
    return weekly("worldcup98", values.iloc[1:], chosen=(2,), reported=(1,))


def weekly(data: str, values: pd.DataFrame, chosen: tuple[int, ...], reported: tuple[int, ...]) -> Iterator[Held]:
    """Hold-outs of a week each, counted in weeks from the end."""
    for part, weeks in zip(PARTS, (chosen, reported), strict=True):
        for back in weeks:
            yield Held(data, part, values, len(values) - WEEK * back, WEEK)


def m4_hourly(datasets: Path) -> Iterator[Held]:
    """The competition's series, every other one, and all of them together; those of one length share a panel."""
    rows = pd.read_parquet(datasets / "m4_hourly" / "series.parquet")
    names = sorted(rows["series"].unique(), key=lambda name: int(name[1:]))
    lengths = rows.groupby("series")["t"].size()
    for part, mine in zip((*PARTS, "all"), (names[::2], names[1::2], names), strict=True):
        for length in sorted(lengths[mine].unique()):
            own = rows[rows["series"].isin([name for name in mine if lengths[name] == length])]
            values = own.pivot_table(index="t", columns="series", values="y")
            values.index = pd.date_range("2000-01-03", periods=length, freq="h", unit="us")
            yield Held("m4_hourly", part, values, int(length) - M4_HORIZON, M4_HORIZON)


SETS = {
    "abilene": abilene,
    "p2p_live": p2p_live,
    "p2p_live_busy": p2p_live_busy,
    "p2p_live_total": p2p_live_total,
    "zabbix_link": zabbix_link,
    "worldcup98": worldcup98,
    "m4_hourly": m4_hourly,
}


if __name__ == "__main__":
    main()

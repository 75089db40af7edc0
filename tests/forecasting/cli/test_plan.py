"""`python -m forecasting plan` on a tiny lake whose futures a test can know, from end to end, bad input included."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.lake.tables import Lake
from data.schema import TABLES
from data.schema.errors import SettingError
from data.store import Plans, open_store, store_url
from forecasting import __main__ as command
from forecasting.cli.plan import login
from forecasting.cli.policy_file import read_policy
from forecasting.planning.plan import PLAN_COLUMNS
from tests.conftest import SharedLake
from tests.forecasting.networks import NOW as UNTIL
from tests.real_lakes import NETWORKS, real_lake

ROOT = Path(__file__).resolve().parents[3]
MONDAY = pd.Timestamp("2026-03-16", tz="UTC")
WEEKS = pd.date_range(MONDAY, periods=78, freq="7D", unit="us")
RUN = "20260320T120000-0000"
# Gbps in the first week and its growth a week, of a hundred futures that differ in growth alone.
GROWTH = {"fra-01": (70.0, 1.0), "ams-01": (50.0, 0.5), "nrt-01": (50.0, 0.0)}
FACTORS = np.linspace(0.5, 1.5, 100)
REGION = {"fra-01": "eu", "ams-01": "eu", "nrt-01": "asia"}


def futures(keys: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(weeks, paths) of the sum of some sites."""
    return np.asarray(sum(GROWTH[key][0] + GROWTH[key][1] * np.arange(len(WEEKS))[:, None] * FACTORS for key in keys))


def rows(level: str, key: str, draws: np.ndarray[Any, np.dtype[np.float64]], statistic: str = "peak") -> pd.DataFrame:
    identity = {"run_id": RUN, "level": level, "key": key, "metric": "egress_gbps", "statistic": statistic}
    return pd.DataFrame({**identity, "week": WEEKS, "samples": list(draws.astype(np.float32))})


def published(lake: Lake, futures_of: Sequence[str] = tuple(GROWTH), engine: str = "panel", share: float = 0.9) -> Lake:
    """A run. Regions peak at a `share` of the sum of their sites' peaks; P95 is half of the peak."""
    frames = []
    for statistic, part in (("peak", 1.0), ("p95", 0.5)):
        frames += [rows("site", key, part * futures([key]), statistic) for key in futures_of]
        for level, key, members in (
            ("region", "eu", ["fra-01", "ams-01"]),
            ("region", "asia", ["nrt-01"]),
            ("global", "all", list(GROWTH)),
        ):
            if set(members) & set(futures_of):
                frames.append(
                    rows(level, key, part * (share if len(members) > 1 else 1.0) * futures(members), statistic)
                )
    if frames:
        lake.append("simulated_peaks", pa.Table.from_pandas(pd.concat(frames), preserve_index=False))
    fits = [
        {
            "run_id": RUN,
            "level": "site",
            "key": key,
            "metric": "egress_gbps",
            "status": "fitted",
            "observations": 336,
            "seconds": 1.0,
        }
        for key in GROWTH
    ]
    lake.append("series_status", pa.Table.from_pandas(pd.DataFrame(fits), preserve_index=False))
    run = {column.name: 1 for column in TABLES["runs"].columns} | {
        "run_id": RUN,
        "engine": engine,
        "versions": "{}",
        "git_commit": RUN,
    }
    stamps = dict.fromkeys(("telemetry_until", "started"), UNTIL)
    lake.append("runs", pa.Table.from_pandas(pd.DataFrame([run | stamps]), preserve_index=False))
    return lake


def declare(lake: Lake, gbps: float = 100.0, sites: Sequence[str] = tuple(GROWTH)) -> None:
    """Egress capacity that has always been there; nrt-01 waits 10 days for more, the others 60."""
    capacity = pd.DataFrame(
        {
            "site_id": sites,
            "direction": "egress",
            "effective_from": pd.Timestamp("2020-01-01", tz="UTC"),
            "capacity_gbps": gbps,
        }
    )
    lake.replace("capacity", pa.Table.from_pandas(capacity.assign(status="installed"), preserve_index=False))
    known = lake.read("sites").to_pandas()
    known["lead_time_days"] = known["site_id"].map({"fra-01": 60.0, "ams-01": 60.0, "nrt-01": 10.0})
    lake.replace("sites", pa.Table.from_pandas(known, preserve_index=False))


@pytest.fixture(scope="module")
def planned_once(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a run and capacity, to be copied."""
    lake = Lake(shutil.copytree(pristine, tmp_path_factory.mktemp("planned") / "lake"))
    declare(lake)
    return Path(published(lake).url)


@pytest.fixture
def planned(planned_once: Path, tmp_path: Path) -> Lake:
    """A lake with a run and capacity, to write to."""
    return Lake(shutil.copytree(planned_once, tmp_path / "lake"))


def made(lake: Lake, out: Path, *arguments: str) -> pd.DataFrame:
    """The plan of a command that must succeed, by level and key."""
    assert command.main(["plan", "--lake", lake.url, "--out", str(out), *arguments]) == 0
    return pd.read_parquet(out).set_index(["level", "key"])


def refused(capsys: pytest.CaptureFixture[str], lake: Lake, out: Path, *arguments: str) -> str:
    """The one line of a command that must refuse."""
    assert command.main(["plan", "--lake", lake.url, "--out", str(out), *arguments]) == 2
    told, err = capsys.readouterr()
    assert (told, err.count("\n")) == ("", 1)
    assert "Likely cause: " in err
    assert "Remedy: " in err
    return err


def crossing(start: float, growth: float, limit: float, q: float) -> pd.Timestamp:
    """The day on which the q-th future, reckoned by hand, passes the limit; fast growth comes first, and a week's value
    is reached at its end.
    """
    factor = np.sort(FACTORS)[::-1][math.ceil(q * len(FACTORS)) - 1]
    return MONDAY + pd.Timedelta(days=7.0 * (1.0 + (limit - start) / (growth * factor))).floor("D")


def test_the_plan_says_what_was_drawn_overdue_first(
    planned: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = made(planned, tmp_path / "plan.parquet")
    assert found.reset_index()[PLAN_COLUMNS].shape == (6, len(PLAN_COLUMNS))
    fra, ams, nrt = (found.loc[("site", key)] for key in ("fra-01", "ams-01", "nrt-01"))
    for q, name in ((0.1, "p10"), (0.5, "p50"), (0.9, "p90")):
        assert abs(fra[f"run_out_{name}"] - crossing(70.0, 1.0, 80.0, q)) <= pd.Timedelta(days=1)
        if q < 0.9:
            assert abs(ams[f"run_out_{name}"] - crossing(50.0, 0.5, 80.0, q)) <= pd.Timedelta(days=1)
    assert fra["order_by"] == fra["run_out_p10"] - pd.Timedelta(days=125)
    assert (fra["state"], fra["order"], fra["days_left"]) == (
        "act",
        "overdue",
        (fra["order_by"] - UNTIL.floor("D")).days,
    )
    assert (ams["state"], ams["order"], ams["direction"]) == ("ok", "due", "egress")
    assert ams["probability"] == pytest.approx((50.0 + 0.5 * 77 * FACTORS > 80.0).mean())
    assert (nrt["order"], nrt["answer"], nrt["probability"]) == ("none", "beyond", 0.0)
    assert list(found["state"]) == sorted(found["state"], key=["act", "watch", "ok", "unknown"].index)
    text = capsys.readouterr().out
    assert text.index("fra-01") < text.index("ams-01") < text.index("nrt-01")
    assert "1 overdue, 3 to order in time, 2 without need, 0 not known" in text


def test_regions_and_the_network_are_read_from_their_own_futures_and_wait_for_their_slowest_site(
    planned: Lake, tmp_path: Path
) -> None:
    found = made(planned, tmp_path / "plan.parquet")
    eu, everything = found.loc[("region", "eu")], found.loc[("global", "all")]
    assert abs(eu["run_out_p50"] - crossing(0.9 * 120.0, 0.9 * 1.5, 160.0, 0.5)) <= pd.Timedelta(days=1)
    assert abs(everything["run_out_p50"] - crossing(0.9 * 170.0, 0.9 * 1.5, 240.0, 0.5)) <= pd.Timedelta(days=1)
    assert (eu["lead_days"], everything["lead_days"], found.loc[("region", "asia")]["lead_days"]) == (60.0, 60.0, 10.0)


def test_a_policy_file_says_otherwise_in_toml_or_json(planned: Lake, tmp_path: Path) -> None:
    toml, js = tmp_path / "policy.toml", tmp_path / "policy.json"
    toml.write_text(
        'statistic = "p95"\nlimit = 1\nlimits = { "nrt-01" = 0.2 }\n[ordering]\nearly = 0.5\ntimes = 1.0\nplus_days = 3\n'
    )
    js.write_text(
        json.dumps(
            {
                "statistic": "p95",
                "limit": 1,
                "limits": {"nrt-01": 0.2},
                "ordering": {"early": 0.5, "times": 1.0, "plus_days": 3},
            }
        )
    )
    found = made(planned, tmp_path / "a.parquet", "--policy", str(toml))
    assert found.equals(made(planned, tmp_path / "b.parquet", "--policy", str(js)))
    nrt, fra = found.loc[("site", "nrt-01")], found.loc[("site", "fra-01")]
    assert (nrt["answer"], nrt["padded_days"]) == ("over", 13.0)
    assert (fra["answer"], fra["order"]) == ("beyond", "none")
    js.write_text(
        json.dumps({"statistic": "p95", "limit": 0.4, "ordering": {"early": 0.5, "times": 1.0, "plus_days": 3}})
    )
    fra = made(planned, tmp_path / "c.parquet", "--policy", str(js)).loc[("site", "fra-01")]
    assert abs(fra["run_out_p50"] - crossing(35.0, 0.5, 40.0, 0.5)) <= pd.Timedelta(days=1)
    assert fra["order_by"] == fra["run_out_p50"] - pd.Timedelta(days=63)
    padded = made(planned, tmp_path / "d.parquet", "--policy", str(js), "--lead-factor", "1.5", "--lead-plus", "0")
    assert padded.loc[("site", "fra-01"), "padded_days"] == 90.0


def test_every_format_holds_the_same_plan(planned: Lake, tmp_path: Path) -> None:
    whole = made(planned, tmp_path / "plan.parquet").reset_index()
    for ending in ("csv", "json", "ics"):
        assert command.main(["plan", "--lake", planned.url, "--out", str(tmp_path / "new" / f"plan.{ending}")]) == 0
    csv, about = pd.read_csv(tmp_path / "new" / "plan.csv"), json.loads((tmp_path / "new" / "plan.json").read_text())
    held = about.pop("rows")
    assert {"as_of", "run", "policy_limit", "policy_statistic"} <= set(about)
    assert [row["key"] for row in held] == csv["key"].tolist() == whole["key"].tolist()
    assert pd.to_datetime(csv["run_out_p50"], utc=True).equals(whole["run_out_p50"].astype("datetime64[us, UTC]"))
    assert [row["run_out_p50"] is None for row in held] == whole["run_out_p50"].isna().tolist()
    text = (tmp_path / "new" / "plan.ics").read_bytes().decode()
    assert text.count("BEGIN:VEVENT") == whole["order"].isin(["overdue", "due"]).sum() == 4
    assert "UID:order-site-fra-01-egress@headroom\r\n" in text
    assert "SUMMARY:OVERDUE: order egress capacity for fra-01" in text
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["plan.csv", "plan.ics", "plan.json"]


def test_augments_are_bought_from_a_catalogue_and_the_plan_is_kept(
    planned: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = pd.DataFrame(
        {"site_id": ["fra-01", "ams-01"], "gbps": 100.0, "cost_usd_month": [900.0, 500.0], "lead_time_days": 10}
    )
    steps.to_csv(tmp_path / "steps.csv", index=False)
    (tmp_path / "policy.toml").write_text('[augments]\ncatalogue = "steps.csv"\nmonths = 12\n')
    made(
        planned,
        tmp_path / "plan.parquet",
        "--policy",
        str(tmp_path / "policy.toml"),
        "--save",
        "Spring",
        "--author",
        "Ada",
    )
    purchases = pd.read_parquet(tmp_path / "plan-purchases.parquet")
    assert purchases.groupby("site_id")["units"].sum().to_dict() == {"ams-01": 1, "fra-01": 1}
    assert "2 purchases" in (told := capsys.readouterr().out)
    assert "kept as 'Spring'" in told
    store = open_store(store_url(planned.url))
    plans = Plans(store)
    note = plans.listed(planned.url)[0]
    kept = plans.get(note.id)
    store.close()
    assert (note.name, note.author, note.run_id, note.policy["augments"]) == (
        "Spring",
        "Ada",
        RUN,
        {"catalogue": "steps.csv", "months": 12},
    )
    added = kept.rows.set_index(["level", "key"])["add_gbps"].dropna()
    assert added.to_dict() == {("site", "ams-01"): 100.0, ("site", "fra-01"): 100.0}
    for name in ("rank", "site_id", "in_service", "gbps", "units", "cost_usd", "usd_month", "reason"):
        assert kept.purchases[name].tolist() == purchases[name].tolist()
    first = kept.peaks[(kept.peaks["key"] == "fra-01") & (kept.peaks["week"] == WEEKS[1])].iloc[0]
    assert first[["q10", "q50", "q90"]].tolist() == pytest.approx([71.0 - 0.4, 71.0, 71.0 + 0.4], abs=0.02)


def test_n_minus_1_is_planned_by_the_failover_table_that_is_declared(
    planned: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All three sites are near each other; by the table nobody takes over for Tokyo, nor Tokyo for anybody."""
    steps = pd.DataFrame(
        {"site_id": ["fra-01", "ams-01"], "gbps": 100.0, "cost_usd_month": [900.0, 500.0], "lead_time_days": 10}
    )
    steps.to_csv(tmp_path / "steps.csv", index=False)
    (tmp_path / "policy.toml").write_text('[augments]\ncatalogue = "steps.csv"\nmonths = 12\nn_minus_1 = true\n')
    (tmp_path / "ours.csv").write_text("site_id,helper_site_id,weight\nfra-01,ams-01,1\nams-01,fra-01,1\n")
    told = {}
    for failover in ((), ("--failover", str(tmp_path / "ours.csv"))):
        made(planned, tmp_path / "plan.parquet", "--policy", str(tmp_path / "policy.toml"), *failover)
        told[bool(failover)] = capsys.readouterr().out
    assert "goes to others by distance and headroom" in told[False]
    assert "cannot be kept: " not in told[False]
    assert "goes to others as ours.csv declares" in told[True]
    assert "cannot be kept: ams-01, the failure of it" in told[True]
    (tmp_path / "ours.csv").write_text("site_id,helper_site_id,weight\nnrt-01,mars,1\n")
    assert "Row 2 of ours.csv names a site" in refused(
        capsys, planned, tmp_path / "plan.csv", "--failover", str(tmp_path / "ours.csv")
    )
    assert "none.csv" in refused(capsys, planned, tmp_path / "plan.csv", "--failover", str(tmp_path / "none.csv"))


def test_a_budget_that_does_not_reach_is_told_with_what_the_plan_costs_without_it(
    planned: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = pd.DataFrame(
        {"site_id": ["fra-01", "ams-01"], "gbps": 100.0, "cost_usd_month": [900.0, 500.0], "lead_time_days": 10}
    )
    steps.to_csv(tmp_path / "steps.csv", index=False)
    (tmp_path / "policy.toml").write_text('[augments]\ncatalogue = "steps.csv"\nmonths = 12\nbudget_usd = 1000\n')
    made(planned, tmp_path / "plan.parquet", "--policy", str(tmp_path / "policy.toml"))
    told = capsys.readouterr().out
    assert "the budget of 1,000 USD does not reach: the plan without it costs 10,000 USD" in told
    assert "the budget does not reach so far" in told


def test_sites_without_futures_or_capacity_are_refused_with_a_reason_and_sums_say_what_they_lack(
    lake: Lake, tmp_path: Path
) -> None:
    declare(lake, sites=("fra-01", "nrt-01"))
    found = made(published(lake, ("fra-01", "ams-01")), tmp_path / "plan.parquet")
    assert found.loc[("site", "ams-01")]["reason"] == "no capacity is declared"
    assert found.loc[("site", "nrt-01")]["reason"] == "too little history: 14 days; 3 whole weeks are needed"
    assert found.loc[("region", "eu")]["reason"] == "no capacity declared for ams-01"
    assert found.loc[("global", "all")]["reason"] == "no capacity declared for ams-01"
    assert found.loc[("region", "asia")]["reason"] == "no forecast for nrt-01 (too little history: 14 days)"
    assert found.loc[("site", "fra-01")]["order"] == "overdue"
    assert found["state"].tolist()[1:] == ["unknown"] * 5


def test_a_site_that_the_run_refused_is_refused_whatever_was_drawn_for_it(planned: Lake, tmp_path: Path) -> None:
    fits, reason = (
        planned.read("series_status").to_pandas(),
        "silent since 2026-02-06 11:00 UTC; 42 days, of which 7 are bridged",
    )
    gone = fits["key"] == "ams-01"
    fits = fits.assign(status=fits["status"].mask(gone, "refused"), reason=fits["reason"].mask(gone, reason))
    planned.replace("series_status", pa.Table.from_pandas(fits, preserve_index=False))
    found = made(planned, tmp_path / "plan.parquet")
    assert (found.loc[("site", "ams-01")]["answer"], found.loc[("site", "ams-01")]["reason"]) == ("refused", reason)
    without = "without ams-01 (silent since 2026-02-06 11:00 UTC)"
    assert found.loc[("region", "eu")]["reason"] == f"{without}, 67 % of the region"
    assert found.loc[("global", "all")]["reason"] == f"{without}, 33 % of the network"
    dates = ["run_out_p10", "run_out_p50", "run_out_p90"]
    assert found.loc[("region", "eu")][dates].equals(found.loc[("site", "fra-01")][dates])
    assert found.loc[("site", "fra-01")]["order"] == "overdue"


def test_a_site_that_never_carried_anything_counts_in_no_sum(planned: Lake, tmp_path: Path) -> None:
    before = made(planned, tmp_path / "before.parquet")
    new = planned.read("sites").to_pandas().iloc[:1].assign(site_id="new-01", lead_time_days=60.0)
    planned.append("sites", pa.Table.from_pandas(new, preserve_index=False))
    row = planned.read("capacity").to_pandas().iloc[:1].assign(site_id="new-01")
    planned.append("capacity", pa.Table.from_pandas(row, preserve_index=False))
    after = made(planned, tmp_path / "after.parquet")
    assert after.loc[("site", "new-01")]["reason"] == "capacity is declared, but no traffic was ever measured"
    assert after.loc[("region", REGION["fra-01"])]["reason"] == (
        "without new-01 (capacity is declared, but no traffic was ever measured), 0 % of the region"
    )
    assert after.drop(("site", "new-01")).drop(columns="reason").equals(before.drop(columns="reason"))


def test_a_region_without_futures_of_its_own_is_not_answered_from_sums_of_peaks(lake: Lake, tmp_path: Path) -> None:
    declare(lake)
    rest = published(lake).read("simulated_peaks").to_pandas().query("key != 'eu'")
    lake.replace("simulated_peaks", pa.Table.from_pandas(rest, preserve_index=False))
    found = made(lake, tmp_path / "plan.parquet")
    assert found.loc[("region", "eu")]["reason"] == "too little history of the sum of its sites"
    assert found.loc[("global", "all")]["answer"] == "within"


def test_a_site_that_was_above_its_limit_last_week_is_over(planned: Lake, tmp_path: Path) -> None:
    declare(planned, gbps=1e-6)
    assert set(made(planned, tmp_path / "plan.parquet")["answer"]) == {"over"}


def test_without_a_run_or_futures_there_is_no_plan(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan.csv"
    assert "no published run" in refused(capsys, Lake(tmp_path / "none"), out)
    told = refused(capsys, published(lake, (), engine="prophet"), out)
    assert "has no joint futures" in told
    assert "the engine prophet draws none" in told
    assert "refresh --engine panel" in told
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("limt = 0.8", r"sets limt, which no policy has.*a typing error for limit.*use statistic, limit"),
        ("[ordering]\nearley = 0.1", r"sets ordering\.earley, .*for ordering\.early"),
        ("limit = 80", r"limit 80 \(limit\) is not a share of capacity.*a percentage"),
        ('limit = "0.8"', r"sets limit to '0.8', which is not a number"),
        ("limit = nan", r"sets limit to nan, which is not a number"),
        ("planned = 1", r"sets planned to 1, which is not true or false"),
        (
            'limits = { "mars" = 0.5 }',
            r"limits names mars, which the lake does not have.*such as ams-01, fra-01, nrt-01",
        ),
        ('limits = { "fra-01" = -1 }', r"limit -1 \(fra-01\) is not a share"),
        ('statistic = "mean"', r"no weekly statistic 'mean'"),
        ("[ordering]\nearly = 1.5", r"1\.5 quantile"),
        ("[augments]\nmonths = 6", r"sets augments\.months, and no augments\.catalogue"),
        ('[augments]\ncatalogue = "none.csv"', r"none\.csv: no such file"),
        ("limit 0.8", r"policy\.toml is no TOML: .*line 1"),
    ],
)
def test_a_policy_that_is_not_usable_is_refused(
    planned: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "policy.toml").write_text(text)
    arguments = [
        "plan",
        "--lake",
        planned.url,
        "--out",
        str(tmp_path / "plan.csv"),
        "--policy",
        str(tmp_path / "policy.toml"),
    ]
    assert command.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.search(message, err), err
    assert "Remedy: " in err
    assert not (tmp_path / "plan.csv").exists()


def test_the_documented_policy_is_the_usual_one_but_for_limits_and_augments(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "planning.md").read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "policy.toml").write_text(text, encoding="utf-8")
    (tmp_path / "steps.csv").write_text("site_id,gbps,cost_usd_month,lead_time_days\nfra-01,100,900,\n")
    found, usual = read_policy(tmp_path / "policy.toml"), read_policy(None)
    assert replace(found.policy, limits={}) == replace(usual.policy, limits={})
    assert (found.policy.limits, found.ordering) == ({"fra-01": 0.7}, usual.ordering)
    assert replace(found.request, policy=usual.policy) == usual.request
    assert found.catalogue is not None
    assert found.catalogue["direction"].tolist() == ["egress"]


def test_a_catalogue_that_is_not_usable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text('{"augments": {"catalogue": "steps.csv"}}')
    for text, message in (
        ("site_id,gbps\na,1\n", "no column cost_usd_month and no column lead_time_days; it has site_id, gbps"),
        ("site_id,gbps,cost_usd_month,lead_time_days,direction\na,1,1,1,up\n", "has the direction 'up'"),
    ):
        (tmp_path / "steps.csv").write_text(text)
        with pytest.raises(SettingError, match=message):
            read_policy(tmp_path / "policy.json")


def test_the_words_of_a_missing_value_are_names_of_sites_in_the_catalogue(tmp_path: Path) -> None:
    names = ["NA", "null", "nan", "None", "n/a"]
    (tmp_path / "policy.json").write_text('{"augments": {"catalogue": "steps.csv"}}')
    steps = "".join(f"{name};100;900;\n" for name in names)
    (tmp_path / "steps.csv").write_text(f"sep=;\nSite ID;Gbps;cost_usd_month;lead_time_days\n{steps}")
    found = read_policy(tmp_path / "policy.json").catalogue
    assert found is not None
    assert found["site_id"].tolist() == names
    assert found["gbps"].tolist() == [100.0] * 5
    assert found["lead_time_days"].isna().all()
    (tmp_path / "steps.csv").write_text("site_id,gbps,cost_usd_month,lead_time_days\na,1,1,1\n,1,1,1\n")
    with pytest.raises(SettingError, match=r"names no site in row 2"):
        read_policy(tmp_path / "policy.json")


def test_what_cannot_be_written_loses_nothing(
    planned: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no ending that is known" in refused(capsys, planned, tmp_path / "plan.xlsx")
    (tmp_path / "file").write_text("here first")
    assert "cannot be written" in refused(capsys, planned, tmp_path / "file" / "plan.csv")
    (tmp_path / "plan.csv").mkdir()
    assert "cannot be written" in refused(capsys, planned, tmp_path / "plan.csv")
    assert (tmp_path / "file").read_text() == "here first"
    assert not list(tmp_path.glob(".plan*"))


@pytest.mark.real
@pytest.mark.slow
def test_a_fortnight_of_abilene_is_refused_site_by_site(
    tmp_path: Path, datasets: Path, shared_lake: SharedLake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(real_lake(NETWORKS[0], datasets, shared_lake))
    capsys.readouterr()
    found = made(lake, tmp_path / "plan.parquet")
    assert found["state"].tolist() == ["unknown"] * (2 * (12 + 1 + 1))
    assert found.loc["site"]["reason"].str.fullmatch(r"too little history: 1[34] days; 3 whole weeks are needed").all()
    assert found.loc[("region", "abilene")]["reason"].str.startswith("no forecast for ").all()
    assert "28 not known" in capsys.readouterr().out


def test_the_author_is_the_login_name_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    assert login() == "grace"

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("forecasting.cli.plan.getpass.getuser", nobody)
    assert login() == ""

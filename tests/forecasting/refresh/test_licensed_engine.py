"""The engine that a lake is refreshed with: rows that keep the contract, levels that agree, evidence beside every
forecast, and weeks drawn jointly.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.schema import PEAK_QUANTILES, QUANTILES, TABLES, model_words, validate
from forecasting.evaluation.backtest_batch import longest_backtest, past_weeks, published_backtests, shared_origins
from forecasting.evaluation.model_selection import UNPROVEN, backtest_pool, select_and_calibrate
from forecasting.evaluation.reconciliation import COLD_START, SUM
from forecasting.evaluation.scores import out_of_sample_intervals
from forecasting.models.engine import IDENTITY, EngineResult, ForecastOptions
from forecasting.models.ensemble import PROPHET_MAP, baselines, pool
from forecasting.panel.panel import Panel, Sources, build
from forecasting.peaks.calibration import calibrated, offsets
from forecasting.peaks.simulation import Simulation
from forecasting.peaks.weekly_peaks import (
    TRIAL_PATHS,
    WEEKS_PLANNED,
    WEEKS_SHOWN,
    follow_recent_weeks,
    forecast_weekly_peaks,
    peak_inputs,
    weekly_backtest,
)
from forecasting.refresh.licensed_engine import LicensedEngine, dst_pattern
from tests.forecasting.networks import NOW, REGIONS, Here, daily, event, no_events, panel_of, rows, stamps_of
from tests.forecasting.panels import START, demand, history

WEEK = pd.Timedelta(days=7)
SHORT = ForecastOptions(horizon=WEEK, band_back=pd.Timedelta(days=1), band_ahead=pd.Timedelta(days=1))
CUPS = no_events(
    *(event(f"2026-0{month}-{day} 18:00", 5.0, scope="eu") for month, day in ((2, 14), (3, 1), (3, 14), (3, 22)))
)


def panel() -> Panel:
    """Three sites in two regions with nine weeks of hours, one that opened nine days ago, and one that has been silent
    for long.
    """
    long, young = stamps_of(63), stamps_of(9)
    sites = [rows(key, long, daily(long, 10.0 * (number + 1), seed=number)) for number, key in enumerate(REGIONS)]
    sites += [rows("par-01", young, daily(young, 2.0, seed=9)), rows("mad-01", long[:500], daily(long[:500], 5.0))]
    together = (
        pd.concat(sites[:3])
        .assign(level="region", key=lambda row: row["key"].map(REGIONS))
        .groupby(["level", "key", "ts"], as_index=False)
        .agg({"egress_gbps": "sum", "completeness": "min"})
    )
    whole = (
        together.assign(level="global", key="all")
        .groupby(["level", "key", "ts"], as_index=False)
        .agg({"egress_gbps": "sum", "completeness": "min"})
    )
    hours = pd.concat([*sites, together, whole], ignore_index=True)
    recent = hours[hours["ts"] >= NOW - 4 * WEEK].drop(columns="completeness")
    regions = REGIONS | {"par-01": "eu", "mad-01": "south"}
    return build(Sources(hours, recent, regions, CUPS, NOW, pd.Timedelta("1h"), {}, weeks_of(hours)), ["egress_gbps"])


def weeks_of(hours: pd.DataFrame) -> pd.DataFrame:
    """Peak and P95 of each week, the second implementation."""
    monday = hours["ts"].dt.floor("D") - pd.to_timedelta(hours["ts"].dt.day_of_week, unit="D")
    found = hours.assign(week=monday, metric="egress_gbps").groupby(["level", "key", "metric", "week"])["egress_gbps"]
    told = found.agg(peak="max", p95=lambda one: one.quantile(0.95), completeness=lambda one: len(one) / 168.0)
    return told.reset_index()


@pytest.fixture(scope="module")
def made() -> EngineResult:
    parts = list(LicensedEngine().forecast(panel(), SHORT, Here()))
    frames = ([frame for frame in table if len(frame)] for table in zip(*parts, strict=True))
    return EngineResult(*(pd.concat(held, ignore_index=True) if held else pd.DataFrame() for held in frames))


def test_every_table_keeps_the_contract(made: EngineResult) -> None:
    for name, frame in made._asdict().items():
        table = pa.Table.from_pandas(frame.assign(run_id="r1"), preserve_index=False)
        assert validate(TABLES[name], table, now=NOW + pd.Timedelta(days=999)).faults == [], name
        assert not frame.duplicated([column for column in TABLES[name].key if column != "run_id"]).any(), name


def test_each_series_has_one_fit_and_the_silent_one_a_reason(made: EngineResult) -> None:
    fits = made.series_status.set_index("key")
    assert fits.index.is_unique
    assert fits.loc["mad-01", "status"] == "refused"
    assert "silent" in fits.loc["mad-01", "reason"]
    assert set(fits.index[fits["status"] == "fitted"]) == {*REGIONS, "par-01", "eu", "asia", "all"}


def test_quantiles_are_ordered_finite_and_never_negative(made: EngineResult) -> None:
    values = made.forecasts[list(QUANTILES)].to_numpy()
    assert np.isfinite(values).all()
    assert (values >= 0.0).all()
    assert (np.diff(values, axis=1) >= 0.0).all()


def test_regions_are_the_sums_of_their_sites(made: EngineResult) -> None:
    wide = made.forecasts.pivot_table(index="ts", columns="key", values="yhat")
    assert wide["eu"].to_numpy() == pytest.approx((wide["fra-01"] + wide["ams-01"] + wide["par-01"]).to_numpy())
    assert wide["asia"].to_numpy() == pytest.approx(wide["nrt-01"].to_numpy())


def test_a_network_with_a_silent_site_is_the_sum_of_the_others_and_names_it(made: EngineResult) -> None:
    wide = made.forecasts.pivot_table(index="ts", columns="key", values="yhat")
    assert wide["all"].to_numpy() == pytest.approx(wide[[*REGIONS, "par-01"]].sum(axis="columns").to_numpy())
    reasons = made.series_status.set_index("key")["reason"]
    assert reasons["all"].startswith("without mad-01 (silent since ")
    assert "par-01 (no weekly peaks: too little history: 9 days)" in reasons["eu"]
    assert "mad-01" not in reasons["eu"]


def test_a_region_of_one_site_equals_the_site_in_all_that_is_published(made: EngineResult) -> None:
    for name, frame in made._asdict().items():
        rows_of_site, rows_of_region = (frame[frame["key"] == key] for key in ("nrt-01", "asia"))
        if name == "series_status":
            rows_of_site, rows_of_region = (one.drop(columns="seconds") for one in (rows_of_site, rows_of_region))
        order = [
            column for column in ("horizon", "origin", "ts", "week", "model", "score", "statistic") if column in frame
        ]
        site, region = (
            one.drop(columns=["level", "key"]).sort_values(order, kind="stable").reset_index(drop=True)
            for one in (rows_of_site, rows_of_region)
        )
        assert len(site), name
        pd.testing.assert_frame_equal(site, region, obj=name)


def test_prophet_and_the_baseline_stand_beside_what_is_drawn(made: EngineResult) -> None:
    beside = made.forecasts[["yhat", "prophet", "baseline"]]
    assert np.isfinite(beside.to_numpy()).all()
    assert (beside.sub(beside["yhat"], axis="index").abs().sum() / beside["yhat"].sum()).max() < 0.2


def test_events_that_moved_nothing_move_no_forecast(made: EngineResult) -> None:
    quiet = made.forecasts[made.forecasts["key"] == "fra-01"].set_index("ts")["yhat"]
    coming = pd.Timestamp("2026-03-22 18:00", tz="UTC")
    during = (quiet.index >= coming) & (quiet.index < coming + pd.Timedelta(hours=5))
    truth = daily(pd.DatetimeIndex(quiet.index), 10.0, noise=0.0)
    assert (quiet / truth)[during].mean() == pytest.approx(1.0, abs=0.08)


def test_every_series_and_horizon_has_its_licence_in_words(made: EngineResult) -> None:
    held = made.licences
    assert len(held) == 2 * held[IDENTITY].drop_duplicates().shape[0]
    assert held["reason"].str.endswith(".").all()
    leaning = held[held["key"].isin(["eu", "all", "par-01"])]
    held = held.drop(leaning.index)
    assert (held.loc[held["licensed"], "model"] == "blend").all()
    assert held.loc[~held["licensed"], "model"].isin(["mixture", *baselines((24, 168))]).all()
    assert held["share"].between(0.0, 1.0).all()
    assert (held.loc[held["licensed"], "share"] > 0.9).all()
    assert leaning["share"].isna().all()
    assert leaning.groupby("key")["model"].unique().str.join("").to_dict() == {
        "all": SUM,
        "eu": SUM,
        "par-01": COLD_START,
    }


def test_the_licence_of_a_region_says_that_its_sites_are_added_up(made: EngineResult) -> None:
    told = made.licences.groupby("key")["reason"].first()
    assert told["eu"].startswith("The sum of its 3 sites' forecasts is drawn: ")
    assert told["all"].startswith("The sum of its 4 sites' forecasts is drawn: ")
    assert told["asia"] == told["nrt-01"]


def test_the_scores_of_a_region_are_those_of_the_sum(made: EngineResult) -> None:
    drawn = made.scores[made.scores["model"] == "licensed"].set_index(["key", "horizon", "score"])["value"].sort_index()
    points = drawn[drawn.index.isin(["mase", "wape", "bias"], level="score")]
    pd.testing.assert_series_equal(points.loc["asia"], points.loc["nrt-01"])
    licences = made.licences.set_index(["key", "horizon"])["error"]
    for horizon in ("0-24 h", "1-7 d"):
        assert licences["eu", horizon] == pytest.approx(drawn["eu", horizon, "mase"])
    assert {"coverage_50", "coverage_80", "coverage_95", "pinball", "msis_95"} <= set(
        drawn.loc["eu"].index.unique("score")
    )


def test_a_licence_tells_the_errors_that_the_leaderboard_shows(made: EngineResult) -> None:
    shown = made.scores[made.scores["score"] == "mase"].set_index([*IDENTITY, "horizon", "model"])["value"]
    told = made.licences[(made.licences["origins"] > 0) & (made.licences["level"] == "site")]
    assert len(told) >= 6
    for one in told.itertuples():
        assert one.baseline_error == pytest.approx(shown[one.level, one.key, one.metric, one.horizon, one.baseline])


def test_the_past_weeks_of_a_region_are_the_sums_of_its_sites_with_bands_about_them(made: EngineResult) -> None:
    wide = made.backtests.pivot_table(index=["origin", "ts"], columns="key", values="yhat")
    opened = NOW - pd.Timedelta(days=9)
    before = wide[wide.index.get_level_values("origin") < opened]
    assert len(before) == 7 * 168
    assert before["eu"].to_numpy() == pytest.approx((before["fra-01"] + before["ams-01"]).to_numpy())
    assert (
        wide.drop(before.index)["eu"] > wide.drop(before.index)[["fra-01", "ams-01"]].sum(axis="columns")
    ).mean() > 0.9
    one = made.backtests[made.backtests["key"] == "eu"]
    assert ((one["q10"] <= one["yhat"]) & (one["yhat"] <= one["q90"])).all()


def test_past_weeks_are_hourly_and_hold_what_came(made: EngineResult) -> None:
    one = made.backtests[made.backtests["key"] == "nrt-01"]
    assert (one.groupby("origin").size() == 168).all()
    assert (one["ts"] >= one["origin"]).all()
    truth = daily(pd.DatetimeIndex(one["ts"]), 30.0, noise=0.0)
    assert ((truth >= one["q025"]) & (truth <= one["q975"])).mean() > 0.8
    assert (one["q025"] <= one["q10"]).all()
    assert (one["q90"] <= one["q975"]).all()


def test_a_young_site_borrows_and_says_so(made: EngineResult) -> None:
    assert (
        "9 cycles of its own; the shape is that of 2 series of eu, egress_gbps"
        in made.series_status.set_index("key").loc["par-01", "model"]
    )
    licences = made.licences[made.licences["key"] == "par-01"]
    assert (
        licences["reason"]
        .str.startswith(
            "The shape of its region is drawn: 9 cycles of its own; the shape is that of 2 series of eu, egress_gbps"
        )
        .all()
    )
    assert (licences["origins"] == 0).all()
    assert not licences["licensed"].any()
    assert made.backtests[made.backtests["key"] == "par-01"].empty, "its own model is not what is drawn"
    assert "licensed" not in set(made.scores.loc[made.scores["key"] == "par-01", "model"])
    alone = made.forecasts[made.forecasts["key"] == "par-01"]
    assert alone["yhat"].mean() == pytest.approx(2.0 * np.exp(0.5**2 / 4), rel=0.25)


def test_bands_after_now_are_the_published_forecast(made: EngineResult) -> None:
    both = made.bands[made.bands["ts"] >= NOW].merge(made.forecasts, on=[*IDENTITY, "ts"])
    assert len(both) == 24 * 7
    for band, forecast in {"expected": "yhat", "upper_80": "q90", "upper_95": "q975", "lower_80": "q10"}.items():
        assert both[band].to_numpy() == pytest.approx(both[forecast].to_numpy()), band


def test_bands_of_a_region_are_about_the_sum_of_its_sites_on_both_sides_of_now(made: EngineResult) -> None:
    wide = made.bands.pivot_table(index="ts", columns="key", values="expected")
    assert (wide.index < NOW).sum() == (wide.index >= NOW).sum() == 24
    assert wide["eu"].to_numpy() == pytest.approx(wide[["fra-01", "ams-01", "par-01"]].sum(axis="columns").to_numpy())
    assert wide["asia"].to_numpy() == pytest.approx(wide["nrt-01"].to_numpy())


def test_bands_before_now_are_of_the_model_that_is_drawn_after_it(made: EngineResult) -> None:
    """A site of which only a baseline is licensed has that baseline's forecast on both sides of now."""
    before = made.bands[made.bands["ts"] < NOW].set_index(["key", "ts"])
    for key in REGIONS:
        truth = daily(
            pd.DatetimeIndex(before.loc[key].index), {"fra-01": 10.0, "ams-01": 20.0, "nrt-01": 30.0}[key], noise=0.0
        )
        assert (before.loc[key, "expected"] / truth).mean() == pytest.approx(1.0, abs=0.1)
        width = made.bands[made.bands["key"] == key].assign(width=lambda one: one["upper_95"] - one["expected"])
        left, right = (width.loc[side, "width"] for side in (width["ts"] < NOW, width["ts"] >= NOW))
        assert 0.5 < left.iloc[-1] / right.iloc[0] < 2.5, key
    fits = made.series_status[made.series_status["status"] == "fitted"].set_index("key")["model"]
    licences = made.licences[made.licences["horizon"] == "0-24 h"].set_index("key")["model"]
    for key in (*REGIONS, "eu", "asia"):
        assert fits[key].startswith(f"{model_words(licences[key])}; clock of "), (
            "no other engine's model is named, or fitted"
        )


def test_peaks_are_the_quantiles_of_the_paths(made: EngineResult) -> None:
    peaks = made.peaks.set_index([*IDENTITY, "week", "statistic"])
    draws = made.simulated_peaks.set_index([*IDENTITY, "week", "statistic"])["samples"]
    assert made.simulated_peaks["week"].nunique() == WEEKS_PLANNED
    assert made.peaks["week"].nunique() == WEEKS_SHOWN
    for at in peaks.index[::17]:
        found = np.quantile(np.asarray(draws[at], dtype=float), list(PEAK_QUANTILES.values()), method="hazen")
        assert peaks.loc[at, list(PEAK_QUANTILES)].to_numpy(float) == pytest.approx(found, rel=1e-5)


def test_both_statistics_are_scored_and_told_apart() -> None:
    """Counted again from past weeks that were forecast and calibrated before they came."""
    subject = peak_inputs(panel(), "egress_gbps", 0)
    assert subject is not None
    past = weekly_backtest(subject.history, Simulation(TRIAL_PATHS, 0))
    labels = np.unique(subject.labels, return_inverse=True)[1]
    past = follow_recent_weeks(subject.history, labels, past).past
    quantiles = calibrated(past.predicted, offsets(past, labels, subject.history.whole_weeks)[:-1])
    scores = forecast_weekly_peaks(subject).scores.set_index(["model", "key", "horizon", "score"])
    assert len(scores)
    for (model, key, horizon, score), row in scores.iterrows():
        statistic, at, series = (
            ("peaks", "peaks-p95").index(model),
            int(horizon.removeprefix("week ")) - 1,
            [one.key for one in subject.series].index(key),
        )
        place = list(PEAK_QUANTILES).index(score.replace("coverage_", "q"))
        pairs = [
            (came, bound)
            for came, bound in zip(
                past.actual[:, at, statistic, series], quantiles[:, at, statistic, place, series], strict=True
            )
            if np.isfinite([came, bound]).all()
        ]
        assert row["origins"] == len(pairs)
        assert row["value"] == pytest.approx(np.mean([came <= bound for came, bound in pairs]))
    assert set(scores.index.get_level_values("model")) == {"peaks", "peaks-p95"}


def test_the_same_panel_gives_the_same_numbers() -> None:
    stamps = stamps_of(35)
    hours = pd.concat([rows(key, stamps, daily(stamps, seed=seed)) for seed, key in enumerate(("fra-01", "nrt-01"))])
    two = panel_of(hours, weeks=weeks_of(hours))
    first, again = (list(LicensedEngine().forecast(two, SHORT, Here()))[-1] for _ in range(2))
    assert len(first.forecasts)
    assert first.forecasts.equals(again.forecasts)
    assert np.array_equal(np.stack(first.simulated_peaks["samples"]), np.stack(again.simulated_peaks["samples"]))


def test_a_panel_in_which_all_is_refused_gives_reasons_alone() -> None:
    few = stamps_of(3)
    bare = build(
        Sources(
            rows("fra-01", few, daily(few)),
            rows("fra-01", few, daily(few)),
            REGIONS,
            no_events(),
            NOW,
            pd.Timedelta("1h"),
        ),
        ["egress_gbps"],
    )
    parts = list(LicensedEngine().forecast(bare, SHORT, Here()))
    assert pd.concat([part.series_status for part in parts if len(part.series_status)])["status"].tolist() == [
        "refused"
    ]
    assert all(len(part.forecasts) == 0 for part in parts)


def test_clocks_that_change_together_are_told_alike() -> None:
    hours = pd.date_range("2026-01-01", "2026-06-01", freq="h", tz="UTC")
    assert dst_pattern("Europe/Paris", hours) == dst_pattern("Europe/Helsinki", hours)
    assert dst_pattern("Europe/Paris", hours) != dst_pattern("America/New_York", hours)
    assert dst_pattern("Asia/Tokyo", hours) == dst_pattern("UTC", hours)


def test_the_past_weeks_of_a_short_history_spread_over_what_there_is() -> None:
    found = list(past_weeks(backtest_pool(history(demand(46 * 24, 2, seasons=(24, 168)), (24, 168)), 168)))
    origins = [week.origin for week in found]
    assert len(origins) == 8
    assert origins[-1] == START + pd.Timedelta(days=39), "the newest that a whole week came after"
    assert {later - earlier for earlier, later in pairwise(origins)} == {pd.Timedelta(days=3)}


def test_one_origin_is_shown_as_far_as_it_saw_and_as_the_scores_judge_it() -> None:
    past = history(demand(84 * 24, 2, seasons=(24, 168)), (24, 168))
    quick = {
        name: model
        for name, model in pool(past.seasons).items()
        if name in {PROPHET_MAP, UNPROVEN, *baselines(past.seasons)}
    }
    learned = backtest_pool(past, 672, models=quick)
    drawn = select_and_calibrate(learned)
    judged = out_of_sample_intervals(drawn.trials, past)
    far, *weeks = published_backtests(learned, drawn, judged)
    at = drawn.trials.origins.index(len(past.stamps) - 672)
    assert far.origin == past.stamps[-672], "the newest after which four weeks came"
    assert np.array_equal(far.point, drawn.trials.forecasts[at])
    assert np.array_equal(far.quantiles, judged.bounds[at])
    assert np.array_equal(
        far.beside["prophet"],
        np.maximum(learned.backtest.folds[at].forecasts[learned.backtest.models.index(PROPHET_MAP)], 0.0),
    )
    assert [len(week.point) for week in weeks] == [168] * len(weeks)
    assert far.origin not in {week.origin for week in weeks}


def test_no_origin_is_shown_further_than_a_week_where_none_saw_it() -> None:
    past = history(demand(40 * 24, 1, seasons=(24, 168)), (24, 168))
    learned = backtest_pool(past, 168, models=baselines(past.seasons))
    drawn = select_and_calibrate(learned)
    assert longest_backtest(learned, drawn, out_of_sample_intervals(drawn.trials, past)) is None


@pytest.mark.parametrize("hours", [48, 168, 336, 24 * 90])
def test_no_origin_forecasts_further_than_is_asked_for(hours: int) -> None:
    found = shared_origins(history(demand(24 * 200, 1), (24, 168)), hours)
    assert found is not None
    assert max(found.values()) == hours
    assert all(origin + reach <= 24 * 200 for origin, reach in found.items())

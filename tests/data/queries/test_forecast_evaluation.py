"""Licences, backtests, scores and peaks: each answer against the same worked out from the tables by pandas alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data import queries
from data.lake.query import EVERYTHING, Scope
from data.lake.tables import Lake
from data.schema import HORIZONS, Series
from data.schema.errors import HeadroomError
from tests.judged_runs import FAR_DAYS

TOKYO = Series("site", "nrt-01", "egress_gbps")
NETWORK = Series("global", "all", "ingest_gbps")
SERIES = [TOKYO, NETWORK]
NEWEST, BEFORE = "judged-2", "judged-1"
WEEK, HOUR = pd.Timedelta(days=7), pd.Timedelta(hours=1)


def rows(lake: Lake, table: str, series: Series | None = None, run: str | None = NEWEST) -> pd.DataFrame:
    """A table's rows of a series and a run."""
    frame = lake.read(table).to_pandas()
    frame = frame if run is None else frame[frame["run_id"] == run]
    mine = [] if series is None else [frame[name] == value for name, value in series._asdict().items()]
    return frame[np.logical_and.reduce(mine)] if mine else frame


def measured(lake: Lake, series: Series) -> pd.Series:
    """Hourly means of a series by ts."""
    frame = lake.read("telemetry_1h").to_pandas()
    mine = frame[(frame["level"] == series.level) & (frame["key"] == series.key) & (frame["completeness"] >= 0.5)]
    return mine.set_index("ts")[f"{series.metric}_mean"].sort_index()


def with_what_came(lake: Lake, series: Series) -> pd.DataFrame:
    """Every hour of every backtest with what came."""
    found = rows(lake, "backtests", series)
    return found.assign(value=measured(lake, series).reindex(found["ts"]).to_numpy())


def test_a_licence_names_every_horizon_from_the_nearest_on(judged: Lake) -> None:
    found = queries.licence(judged.pin(), EVERYTHING, TOKYO)
    assert found["horizon"].tolist() == list(HORIZONS)
    stored = (
        rows(judged, "licences", TOKYO).set_index("horizon").loc[list(HORIZONS), list(found.columns[1:])].reset_index()
    )
    pd.testing.assert_frame_equal(found, stored, check_dtype=False)


def test_the_licences_of_all_series_are_of_the_newest_run_alone(judged: Lake) -> None:
    found = queries.licences(judged.pin(), EVERYTHING)
    assert len(found) == len(rows(judged, "licences"))
    assert not found.duplicated(["level", "key", "metric", "horizon"]).any()


@pytest.mark.parametrize("series", SERIES)
def test_scores_are_those_of_the_newest_run(judged: Lake, series: Series) -> None:
    found, stored = (
        f.set_index(["model", "horizon", "score"])["value"].sort_index()
        for f in (queries.scores(judged.pin(), EVERYTHING, series), rows(judged, "scores", series))
    )
    pd.testing.assert_series_equal(found, stored, check_dtype=False, check_index_type=False)


def test_calibration_reads_the_nominal_share_off_the_score(judged: Lake) -> None:
    found = queries.calibration(judged.pin(), EVERYTHING)
    assert set(found["model"]) == {"licensed", "peaks", "peaks-p95"}
    assert set(found.loc[found["model"] == "peaks", "nominal"]) == {0.9, 0.95}
    assert set(found.loc[found["model"] == "licensed", "nominal"]) == {0.5, 0.8, 0.95}
    one = found[
        (found["key"] == "nrt-01")
        & (found["metric"] == "egress_gbps")
        & (found["horizon"] == "week 2")
        & (found["nominal"] == 0.95)
    ]
    stored = (
        rows(judged, "scores", TOKYO)
        .query("horizon == 'week 2' and score == 'coverage_95'")
        .set_index("model")["value"]
    )
    assert one.set_index("model")["observed"].to_dict() == stored.to_dict()
    assert set(stored.index) == {"peaks", "peaks-p95"}


def test_accuracy_is_that_of_what_is_drawn_with_the_first_week_as_the_mean_of_its_hours(judged: Lake) -> None:
    found = queries.accuracy(judged.pin(), EVERYTHING)
    mine = found[(found[[*Series._fields]] == list(TOKYO)).all(axis=1)].set_index("horizon")
    assert mine.index.tolist() == ["0-7 d", "0-24 h", "1-7 d"]
    stored = rows(judged, "scores", TOKYO).set_index(["model", "horizon", "score"])["value"]
    day, week = (stored["licensed", name, "wape"] for name in ("0-24 h", "1-7 d"))
    assert mine.loc["0-24 h", "wape"] == day
    assert mine.loc["0-7 d", "wape"] == pytest.approx((day + 6 * week) / 7)
    assert mine.loc["0-24 h", "inside_95"] == stored["licensed", "0-24 h", "coverage_95"]
    assert mine.loc["1-7 d", "gain"] == pytest.approx(1 - week / stored["seasonal_naive_168", "1-7 d", "wape"])


def test_the_accuracy_of_all_series_has_the_least_covered_first(judged: Lake) -> None:
    found = queries.series_accuracy(judged.pin(), EVERYTHING)
    assert found["inside_95"].is_monotonic_increasing
    mine = found[(found[[*Series._fields]] == list(TOKYO)).all(axis=1)].iloc[0]
    stored = rows(judged, "scores", TOKYO).query("model == 'licensed' and score == 'coverage_95'")
    worst = stored.loc[stored["value"].idxmin()]
    assert (mine["inside_95"], mine["least_at"]) == (worst["value"], worst["horizon"])
    licences = rows(judged, "licences", TOKYO).query("origins > 0")
    assert (mine["won"], mine["tested"]) == (licences["licensed"].sum(), len(licences))
    ratio = licences["error"].mean() / licences["baseline_error"].mean()
    assert mine["against_baseline"] == pytest.approx(ratio - 1)


@pytest.mark.parametrize("series", SERIES)
def test_coverage_counts_the_hours_inside_each_interval(judged: Lake, series: Series) -> None:
    found = queries.coverage(judged.pin(), EVERYTHING, series).set_index("origin")
    assert found["days"].tolist() == [FAR_DAYS, *[7] * 8]
    for origin, hours in with_what_came(judged, series).groupby("origin"):
        known = hours.dropna(subset="value")
        assert found.loc[origin, "hours"] == len(known)
        assert found.loc[origin, "coverage_80"] == pytest.approx(
            known["value"].between(known["q10"], known["q90"]).mean()
        )
        assert found.loc[origin, "coverage_95"] == pytest.approx(
            known["value"].between(known["q025"], known["q975"]).mean()
        )
        for name, column in (("wape", "yhat"), ("prophet_wape", "prophet"), ("baseline_wape", "baseline")):
            assert found.loc[origin, name] == pytest.approx(
                (known["value"] - known[column]).abs().sum() / known["value"].sum()
            )


def test_hours_in_which_nothing_came_count_for_nothing(judged: Lake, tmp_path_factory: pytest.TempPathFactory) -> None:
    lake = Lake(tmp_path_factory.mktemp("holed") / "lake")
    for name in ("telemetry", "telemetry_1d", "sites", "runs", "backtests"):
        lake.replace(name, judged.read(name))
    hours = judged.read("telemetry_1h").to_pandas()
    origin = queries.coverage(judged.pin(), EVERYTHING, TOKYO)["origin"].iloc[0]
    low = (hours["key"] == "nrt-01") & (hours["ts"] >= origin) & (hours["ts"] < origin + 5 * HOUR)
    hours.loc[low, "completeness"] = 0.4
    lake.replace("telemetry_1h", judged.read("telemetry_1h").from_pandas(hours, preserve_index=False))
    found = queries.coverage(lake.pin(), EVERYTHING, TOKYO)
    assert found["hours"].iloc[0] == 24 * FAR_DAYS - 5
    assert queries.backtest(lake.pin(), EVERYTHING, TOKYO, origin)["value"].isna().sum() == 5


@pytest.mark.parametrize("series", SERIES)
def test_a_backtest_is_a_week_beside_what_came(judged: Lake, series: Series) -> None:
    origin = queries.coverage(judged.pin(), EVERYTHING, series)["origin"].iloc[3]
    found = queries.backtest(judged.pin(), EVERYTHING, series, origin).set_index("ts")
    stored = with_what_came(judged, series).query("origin == @origin").set_index("ts")[list(found.columns)]
    pd.testing.assert_frame_equal(found, stored, check_dtype=False, check_freq=False)
    assert len(found) == 168
    assert queries.backtest(judged.pin(), EVERYTHING, series, origin + HOUR / 2).empty


@pytest.mark.parametrize("series", SERIES)
def test_one_backtest_sees_further_than_a_week(judged: Lake, series: Series) -> None:
    origin = queries.coverage(judged.pin(), EVERYTHING, series)["origin"].iloc[0]
    found = queries.backtest(judged.pin(), EVERYTHING, series, origin)
    assert len(found) == 24 * FAR_DAYS
    assert found["value"].tolist() == measured(judged, series)[origin:].tolist()


def test_residuals_are_what_came_less_what_was_expected_in_the_week_after_an_origin(judged: Lake) -> None:
    found = queries.residuals(judged.pin(), EVERYTHING, TOKYO)
    stored = with_what_came(judged, TOKYO).sort_values(["origin", "ts"])
    stored = stored[stored["origin"] != stored["origin"].min()]
    np.testing.assert_allclose(found["residual"], stored["value"] - stored["yhat"])


def test_peaks_keep_their_quantiles_in_order(judged: Lake) -> None:
    found = queries.peaks(judged.pin(), EVERYTHING, TOKYO)
    assert set(found["statistic"]) == {"peak", "p95"}
    assert (found["week"].dt.day_of_week == 0).all()
    assert (found[["q05", "q10", "q50", "q90", "q95"]].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_drift_follows_the_drawn_model_from_run_to_run(judged: Lake) -> None:
    found = queries.drift(judged.pin(), EVERYTHING, TOKYO)
    stored = rows(judged, "scores", TOKYO, None).query("model == 'licensed' and score == 'mase'")
    assert found["number"].tolist() == [1, 1, 2, 2]
    assert found["value"].tolist() == pytest.approx(stored.sort_values(["run_id", "horizon"])["value"].tolist())


def test_hindsight_holds_what_was_published_against_what_has_come_since(judged: Lake) -> None:
    found = queries.hindsight(judged.pin(), EVERYTHING, TOKYO)
    assert found["number"].tolist() == [1]  # no hour has passed since the newest run
    until = judged.read("runs").to_pandas().set_index("run_id").loc[BEFORE, "telemetry_until"]
    told = rows(judged, "forecasts", TOKYO, BEFORE).set_index("ts")
    came = measured(judged, TOKYO).loc[until:]
    told = told.loc[came.index]
    assert found["hours"].tolist() == [24]
    assert found["wape"].iloc[0] == pytest.approx((came - told["yhat"]).abs().sum() / came.sum())
    assert found["coverage_80"].iloc[0] == pytest.approx(came.between(told["q10"], told["q90"]).mean())


def test_every_run_is_held_against_the_same_week_after_it(
    judged: Lake, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake(tmp_path_factory.mktemp("later") / "lake")
    for name in ("telemetry", "telemetry_1h", "telemetry_1d", "sites", "forecasts"):
        lake.replace(name, judged.read(name))
    runs = judged.read("runs").to_pandas()
    now = runs["telemetry_until"].max()
    runs["telemetry_until"] = [now - 20 * HOUR * 24 if run == BEFORE else now - 5 * HOUR for run in runs["run_id"]]
    told = judged.read("forecasts").to_pandas()
    told["ts"] -= pd.to_timedelta(np.where(told["run_id"] == BEFORE, 19 * 24, 5), unit="h").as_unit("us")
    lake.replace("runs", judged.read("runs").from_pandas(runs, preserve_index=False))
    lake.replace("forecasts", judged.read("forecasts").from_pandas(told, preserve_index=False))
    found = queries.hindsight(lake.pin(), EVERYTHING, TOKYO)
    assert found["number"].tolist() == [1, 2]
    assert found["hours"].tolist() == [7 * 24, 5]
    since = told[(told["run_id"] == BEFORE) & (told["key"] == "nrt-01") & (told["metric"] == "egress_gbps")].set_index(
        "ts"
    )["yhat"]
    came = measured(judged, TOKYO).loc[now - 20 * HOUR * 24 : now - 13 * HOUR * 24 - HOUR]
    assert found["wape"].iloc[0] == pytest.approx((came - since.loc[came.index]).abs().sum() / came.sum())


def test_two_runs_stand_side_by_side(judged: Lake) -> None:
    found = queries.run_against_run(judged.pin(), EVERYTHING, 2, 1, TOKYO).set_index(["model", "horizon", "score"])
    new, old = (
        rows(judged, "scores", TOKYO, run).set_index(["model", "horizon", "score"])["value"] for run in (NEWEST, BEFORE)
    )
    np.testing.assert_allclose(found["value"], new.reindex(found.index))
    np.testing.assert_allclose(found["other_value"], old.reindex(found.index))
    assert set(found.index) == {*new.index, *old.index}, (
        "no row that neither run has of this series, such as a sum of sites"
    )
    names = ["level", "key", "metric", "model", "horizon", "score"]
    both = rows(judged, "scores", None, NEWEST).merge(rows(judged, "scores", None, BEFORE), on=names)
    every = both.groupby(["model", "horizon", "score"])["value_x"].agg(["mean", "count"]).reindex(found.index)
    np.testing.assert_allclose(found["mean"], every["mean"])
    assert found["series"].tolist() == every["count"].fillna(0).tolist()


def test_a_run_that_is_gone_leaves_its_side_empty(judged: Lake) -> None:
    found = queries.run_against_run(judged.pin(), EVERYTHING, 2, 77, TOKYO)
    assert found["value"].notna().all()
    assert found["other_value"].isna().all()
    assert (found["series"] == 0).all()


def test_a_lake_whose_run_judged_nothing_answers_with_empty_frames(full: Lake) -> None:
    for pin in (full.pin(), Lake(full.url + "-none").pin()):
        for ask in (
            queries.licence,
            queries.scores,
            queries.coverage,
            queries.residuals,
            queries.drift,
            queries.hindsight,
        ):
            assert ask(pin, EVERYTHING, TOKYO).empty, ask.name
        assert queries.licences(pin, EVERYTHING).empty
        assert queries.calibration(pin, EVERYTHING).empty
        assert queries.accuracy(pin, EVERYTHING).empty
        assert queries.series_accuracy(pin, EVERYTHING).empty
        assert queries.run_against_run(pin, EVERYTHING, 2, 1, TOKYO).empty
        assert queries.backtest(pin, EVERYTHING, TOKYO, pd.Timestamp("2026-03-13", tz="UTC")).empty


def test_a_narrow_scope_judges_its_own_sites(judged: Lake) -> None:
    scope = Scope(frozenset({"nrt-01"}))
    assert set(queries.licences(judged.pin(), scope)["key"]) == {"nrt-01"}
    assert not queries.scores(judged.pin(), scope, TOKYO).empty
    assert queries.scores(judged.pin(), scope, NETWORK).empty
    assert queries.run_against_run(judged.pin(), scope, 2, 1, TOKYO)["series"].max() == 2


def test_a_metric_from_an_address_never_becomes_sql(judged: Lake) -> None:
    with pytest.raises(HeadroomError, match="There is no metric 'x; DROP'"):
        queries.coverage(judged.pin(), EVERYTHING, Series("site", "nrt-01", "x; DROP"))

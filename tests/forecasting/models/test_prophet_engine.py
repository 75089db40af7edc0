"""The Prophet engine behind the interface, on short series, sound ones and spoiled ones."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.schema import QUANTILES, TABLES, Series, validate
from data.schema.errors import HeadroomError
from forecasting.models import prophet_engine
from forecasting.models.engine import Engine, EngineResult, ForecastOptions
from forecasting.models.prophet_engine import ProphetEngine
from forecasting.panel.panel import Panel
from tests.forecasting.networks import NOW, Here, daily, event, no_events, panel_of, rows, stamps_of

# Three days ahead and two of band are enough to look at, and quick.
SHORT = ForecastOptions(
    horizon=pd.Timedelta(days=3), band_back=pd.Timedelta(days=2), band_ahead=pd.Timedelta(days=1), seed=7
)
HOURS = stamps_of(10)
SOUND = daily(HOURS)
COUNT = len(HOURS)
WITHIN = np.arange(COUNT)

FITTED = {
    "sound": SOUND,
    "huge": SOUND * 1e11,
    "tiny": SOUND * 1e-9,
    "two-values": np.where(WITHIN % 24 < 12, 1.0, 5.0),
    "spiked": np.where(WITHIN == 100, SOUND * 1e6, SOUND),
    "mostly-zero": np.where(WITHIN % 24 < 10, SOUND, 0.0),
    "holed": np.where(WITHIN % 4 == 0, np.nan, SOUND),
    "growing": SOUND * np.exp(WITHIN / 100),
}
REFUSED = {
    "constant": (np.full(COUNT, 3.0), "always 3"),
    "zero": (np.zeros(COUNT), "always 0"),
    "single-point": (np.where(WITHIN == COUNT - 1, 5.0, np.nan), "1 usable hours"),
    "short": (np.where(WITHIN > 120, SOUND, np.nan), "119 usable hours"),
}


def results(panel: Panel, plan: ForecastOptions = SHORT, engine: Engine | None = None) -> EngineResult:
    """All parts of a forecast in one."""
    parts = list((engine or ProphetEngine()).forecast(panel, plan, Here()))
    whole = [[frame for part in parts if len(frame := getattr(part, name))] for name in EngineResult._fields]
    return EngineResult(*(pd.concat(frames, ignore_index=True) if frames else pd.DataFrame() for frames in whole))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return ProphetEngine()


@pytest.fixture(scope="module")
def made(engine: Engine) -> EngineResult:
    """What becomes of every series, sound or spoiled, in one panel."""
    values = FITTED | {key: spoiled for key, (spoiled, _) in REFUSED.items()}
    doubled = rows("doubled", HOURS, SOUND)
    frames = [rows(key, HOURS, held) for key, held in values.items()]
    missing = rows("nothing", HOURS, SOUND, completeness=0.1).assign(completeness=np.where(WITHIN == 0, 1.0, 0.1))
    masked = no_events(event(f"{HOURS[0]:%Y-%m-%d %H:%M}", 1.0, scope="nothing", treatment="mask"))
    return results(
        panel_of(*frames, doubled, doubled.sample(frac=1, random_state=1), missing, events=masked), engine=engine
    )


@pytest.mark.parametrize("key", [*FITTED, "doubled"])
def test_what_can_be_forecast_is_finite_ordered_and_never_negative(made: EngineResult, key: str) -> None:
    fit = made.series_status[made.series_status["key"] == key].iloc[0]
    assert (fit["status"], fit["reason"]) == ("fitted", None)
    ahead, band = made.forecasts[made.forecasts["key"] == key], made.bands[made.bands["key"] == key]
    assert (len(ahead), len(band)) == (72, 72)
    quantiles = ahead[list(QUANTILES)].to_numpy()
    bounds = band[["lower_95", "lower_80", "expected", "upper_80", "upper_95"]].to_numpy()
    for found in (quantiles, bounds, ahead[["yhat"]].to_numpy()):
        assert np.isfinite(found).all()
        assert (found >= 0.0).all()
        assert (np.diff(found, axis=1) >= 0.0).all()


@pytest.mark.parametrize("key", REFUSED)
def test_what_cannot_be_forecast_is_refused_with_its_reason(made: EngineResult, key: str) -> None:
    fit = made.series_status[made.series_status["key"] == key].iloc[0]
    assert fit["status"] == "refused"
    assert fit["reason"].startswith(REFUSED[key][1])
    assert key not in set(made.forecasts["key"])


def test_a_series_that_is_masked_whole_is_refused(made: EngineResult) -> None:
    fit = made.series_status[made.series_status["key"] == "nothing"].iloc[0]
    assert (fit["status"], fit["reason"]) == ("refused", "no usable value: all hours are missing or masked")


def test_every_series_is_accounted_for_once(made: EngineResult) -> None:
    assert sorted(made.series_status["key"]) == sorted([*FITTED, *REFUSED, "doubled", "nothing"])


def test_results_keep_the_contract(made: EngineResult) -> None:
    given = {name: frame for name, frame in made._asdict().items() if len(frame)}
    assert set(given) == {"forecasts", "bands", "series_status"}
    for name, frame in given.items():
        found = validate(
            TABLES[name],
            pa.Table.from_pandas(frame.assign(run_id="r1"), preserve_index=False),
            now=NOW + pd.Timedelta(days=99),
        )
        assert found.faults == []


def test_stamps_are_utc_and_begin_with_the_first_hour_that_is_not_over(made: EngineResult) -> None:
    ahead, band = (frame[frame["key"] == "sound"]["ts"] for frame in (made.forecasts, made.bands))
    assert ahead.dtype == band.dtype == "datetime64[us, UTC]"
    assert ahead.tolist() == pd.date_range(NOW, periods=72, freq="h").tolist()
    assert (band.iloc[0], band.iloc[-1]) == (NOW - pd.Timedelta(days=2), NOW + pd.Timedelta(hours=23))


def test_a_day_that_repeats_is_forecast(made: EngineResult) -> None:
    ahead = made.forecasts[made.forecasts["key"] == "sound"].set_index("ts")
    truth = daily(pd.DatetimeIndex(ahead.index), noise=0.0)
    assert np.abs(ahead["q50"] / truth - 1).mean() < 0.05
    assert np.abs(ahead["yhat"] / truth - 1).mean() < 0.05
    assert ahead["yhat"].sum() == pytest.approx(truth.sum(), rel=0.03)


def test_the_unit_does_not_matter(made: EngineResult) -> None:
    by = {key: made.forecasts[made.forecasts["key"] == key]["q90"].to_numpy() for key in ("sound", "huge", "tiny")}
    assert by["huge"] / 1e11 == pytest.approx(by["sound"], rel=1e-6)
    assert by["tiny"] * 1e9 == pytest.approx(by["sound"], rel=1e-6)


def test_two_rows_for_each_hour_change_nothing(made: EngineResult) -> None:
    by = {key: made.forecasts[made.forecasts["key"] == key]["q50"].to_numpy() for key in ("sound", "doubled")}
    assert by["doubled"] == pytest.approx(by["sound"])


def test_short_history_has_no_slope(made: EngineResult) -> None:
    models = made.series_status[made.series_status["status"] == "fitted"]["model"]
    assert models.str.contains("flat trend").all()


def wandering() -> Panel:
    """A series whose growth changes every ten days, so that its future is in doubt."""
    stamps = stamps_of(90)
    slopes = np.repeat([0.01, -0.01, 0.02, 0.0, 0.01, -0.02, 0.02, 0.01, 0.0], 240) / 24
    return panel_of(rows("fra-01", stamps, daily(stamps) * np.exp(slopes.cumsum())))


def test_the_same_seed_gives_the_same_numbers(engine: Engine) -> None:
    first, again = (results(wandering(), engine=engine) for _ in range(2))
    assert first.forecasts.equals(again.forecasts)
    assert first.bands.equals(again.bands)


def test_doubt_grows_with_the_horizon_where_growth_has_changed_before(engine: Engine) -> None:
    ahead = results(
        wandering(), ForecastOptions(pd.Timedelta(days=40), SHORT.band_back, SHORT.band_ahead), engine=engine
    ).forecasts
    width = np.log(ahead["q975"] / ahead["q025"])
    assert width.iloc[-24:].mean() > 1.2 * width.iloc[:24].mean()


def test_growth_is_carried_on(engine: Engine) -> None:
    stamps, plan = stamps_of(90), ForecastOptions(pd.Timedelta(days=45), SHORT.band_back, SHORT.band_ahead)
    doubling = np.log(2.0) / 90 / 24
    found = results(
        panel_of(rows("fra-01", stamps, daily(stamps) * np.exp(doubling * np.arange(len(stamps))))), plan, engine=engine
    )
    ahead = found.forecasts.set_index("ts")
    truth = daily(pd.DatetimeIndex(ahead.index), noise=0.0) * np.exp(doubling * (len(stamps) + np.arange(len(ahead))))
    assert "linear trend" in found.series_status["model"][0]
    assert np.abs(ahead["q50"] / truth - 1).mean() < 0.06


def test_an_announced_event_lifts_the_forecast_and_an_outage_does_not_sink_it(engine: Engine) -> None:
    stamps = stamps_of(28)
    values, cups = daily(stamps), []
    for day in (3, 10, 17, 24):
        begin = stamps[0].floor("D") + pd.Timedelta(days=day, hours=18)
        values[(stamps >= begin) & (stamps < begin + pd.Timedelta(hours=4))] *= 1.8
        cups.append(event(f"{begin:%Y-%m-%d %H:%M}", 4.0, scope="eu"))
    coming = NOW.floor("D") + pd.Timedelta(days=1, hours=18)
    values[300:310] *= 0.5
    known = no_events(
        *cups,
        event(f"{coming:%Y-%m-%d %H:%M}", 4.0, scope="eu"),
        event(f"{stamps[300]:%Y-%m-%d %H:%M}", 10.0, scope="fra-01", treatment="mask"),
    )
    found = results(panel_of(rows("fra-01", stamps, values), events=known), engine=engine)
    ahead = found.forecasts.set_index("ts")
    during = (ahead.index >= coming) & (ahead.index < coming + pd.Timedelta(hours=4))
    truth = daily(pd.DatetimeIndex(ahead.index), noise=0.0)
    assert (ahead["q50"] / truth)[during].mean() == pytest.approx(1.8, rel=0.08)
    assert (ahead["q50"] / truth)[~during].mean() == pytest.approx(1.0, rel=0.05)
    assert found.series_status["observations"][0] == len(stamps) - 10
    assert found.series_status["model"][0].endswith(", tournament")


def test_bands_hold_what_they_say_and_widen_ahead(engine: Engine) -> None:
    fine = stamps_of(28, "15min")
    values = daily(fine, noise=0.1)
    hours = (
        rows("fra-01", fine, values).assign(ts=fine.floor("h")).groupby(["level", "key", "ts"], as_index=False).mean()
    )
    panel = panel_of(hours)
    samples = pd.DataFrame({Series("site", "fra-01", "egress_gbps"): values}, index=fine)
    panel = Panel(
        panel.hourly,
        samples.set_axis(panel.hourly.columns, axis=1),
        panel.events,
        panel.regions,
        panel.weights,
        NOW,
        pd.Timedelta("15min"),
    )
    band = results(panel, engine=engine).bands.set_index("ts")
    past = band[band.index < NOW]
    measured = pd.Series(values, index=fine).loc[past.index]
    for name, share in (("80", 0.8), ("95", 0.95)):
        held = ((measured >= past[f"lower_{name}"]) & (measured <= past[f"upper_{name}"])).mean()
        assert held == pytest.approx(share, abs=0.05)
    assert len(band) == 3 * 96


def test_a_fit_that_breaks_is_a_recorded_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(job: object) -> None:
        raise RuntimeError("Optimization terminated\n  abnormally, error code 70")

    monkeypatch.setattr(prophet_engine, "fit", broken)
    found = results(panel_of(rows("fra-01", HOURS, SOUND)))
    assert found.series_status[["status", "reason"]].to_numpy().tolist() == [
        ["failed", "RuntimeError: Optimization terminated abnormally, error code 70"]
    ]
    assert found.forecasts.empty


def test_a_worker_that_dies_ends_the_refresh_with_a_remedy() -> None:
    class Dying(Here):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(BrokenProcessPool("A process in the process pool was terminated abruptly"))
            return future

    with pytest.raises(HeadroomError, match=r"A worker process died over site/fra-01/egress_gbps.*`--workers 1`"):
        list(ProphetEngine().forecast(panel_of(rows("fra-01", HOURS, SOUND)), SHORT, Dying()))


@pytest.fixture
def loud() -> Iterator[None]:
    """Any warning is an error, whatever the test run says."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("loud")
def test_nothing_is_logged_warned_or_printed_and_the_random_state_is_left_alone(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    with caplog.at_level(logging.DEBUG):
        results(panel_of(rows("fra-01", HOURS, SOUND)))
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002
    assert [record.name for record in caplog.records if record.name in {"prophet", "cmdstanpy"}] == []
    assert capfd.readouterr() == ("", "")

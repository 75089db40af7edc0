"""The leaderboard of a backtest: every model, the blend and what is drawn, for each series and band of horizons, in tidy rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecasting.evaluation import metrics
from forecasting.evaluation.backtest import Band
from forecasting.evaluation.conformal import LEVELS, half_widths, quantiles
from forecasting.evaluation.expect import Drawn, Learned, lower_bound
from forecasting.evaluation.licence import BLEND
from forecasting.evaluation.trials import OTHERS_AT_LEAST, Trials, of_model
from forecasting.models.history import History, Reals

LICENSED = "licensed"
COLUMNS = ["series", "model", "horizon", "score", "value", "origins"]
# One score of one model in one band: the series that have it, and for each of them its value and the origins behind it, in the order of COLUMNS.
Row = tuple[npt.NDArray[np.intp], str, str, str, Reals, npt.NDArray[np.intp]]
# Levels of the seven quantiles that a band of LEVELS stands for.
QUANTILE_LEVELS = (*sorted((1.0 - level) / 2.0 for level in LEVELS), 0.5, *((1.0 + level) / 2.0 for level in LEVELS))


def scores(learned: Learned, drawn: Drawn) -> pd.DataFrame:
    """COLUMNS, `series` by its place in the panel: MASE, WAPE and bias of all models; of what is drawn also coverage, pinball loss and MSIS of its bands.

    Means over the origins that reach at least half of the band; a score that is not defined has no row. Bands are those that the other origins give.
    """
    history, horizon = learned.history, learned.ahead.shape[1]
    scale = metrics.seasonal_scale(history.measured, history.short)
    tried = ((name, of_model(learned.backtest, place, horizon)) for place, name in enumerate(learned.backtest.models))
    both = ((BLEND, drawn.blend_trials), (LICENSED, drawn.trials))
    rows = [row for name, trials in chain(tried, both) for row in _points(name, trials, drawn.bands, scale)]
    rows += _bounds(drawn.trials, held_out_quantiles(drawn.trials, history), drawn.bands, scale)
    return _frame(rows)


def _frame(rows: list[Row]) -> pd.DataFrame:
    """COLUMNS from rows of many series each."""
    if not rows:
        return pd.DataFrame(columns=COLUMNS)
    counts = [len(row[0]) for row in rows]
    told = {name: np.repeat([row[place] for row in rows], counts) for place, name in enumerate(COLUMNS) if name in {"model", "horizon", "score"}}
    return pd.DataFrame({**told, **{name: np.concatenate([row[COLUMNS.index(name)] for row in rows]) for name in ("series", "value", "origins")}})[COLUMNS]


def held_out_quantiles(trials: Trials, history: History) -> Reals:
    """The quantiles (K, H, N, 7) that each origin would have been given by the residuals of the others; NaN where it has no forecast."""
    found = np.full((*trials.forecasts.shape, len(QUANTILE_LEVELS)), np.nan)
    for place, point in enumerate(trials.forecasts):
        reach = int((~np.isnan(point)).any(axis=1).sum())
        kept = _apart(trials.origins, place, reach)
        others = Trials(tuple(trials.origins[other] for other in kept), trials.forecasts[kept, :reach], trials.actual[kept, :reach])
        known = history.until(trials.origins[place])
        found[place, :reach] = quantiles(point[:reach], half_widths(point[:reach], others, known), lower_bound(known))
    return found


def _apart(origins: Sequence[int], place: int, reach: int) -> list[int]:
    """The places of the other origins; where enough are left, only of those that saw none of the same steps."""
    others = [other for other in range(len(origins)) if other != place]
    far = [other for other in others if abs(origins[other] - origins[place]) >= reach]
    return far if len(far) >= OTHERS_AT_LEAST else others


def _points(name: str, trials: Trials, bands: tuple[Band, ...], scale: Reals) -> Iterator[Row]:
    """MASE, WAPE and bias of one model."""
    for band, reaching in _reaching(trials, bands):
        told, came = trials.forecasts[reaching, band.first : band.last], trials.actual[reaching, band.first : band.last]
        each = [(metrics.mase(y, f, scale), metrics.wape(y, f), metrics.bias(y, f)) for f, y in zip(told, came, strict=True)]
        yield from _tidy(name, band, ("mase", "wape", "bias"), np.array(each))


def _bounds(trials: Trials, bounds: Reals, bands: tuple[Band, ...], scale: Reals) -> Iterator[Row]:
    """Coverage, pinball loss and MSIS of what is drawn."""
    for band, reaching in _reaching(trials, bands):
        steps = slice(band.first, band.last)
        each = [_interval(trials.actual[place, steps], bounds[place, steps], scale) for place in reaching]
        yield from _tidy(LICENSED, band, ("coverage_80", "coverage_95", "pinball", "msis_95"), np.array(each))


def _interval(actual: Reals, bounds: Reals, scale: Reals) -> tuple[Reals, ...]:
    return (
        metrics.coverage(actual, bounds[:, :, 1], bounds[:, :, 5]),
        metrics.coverage(actual, bounds[:, :, 0], bounds[:, :, 6]),
        metrics.pinball(actual, bounds, QUANTILE_LEVELS),
        metrics.msis(actual, bounds[:, :, 0], bounds[:, :, 6], 0.95, scale),
    )


def _reaching(trials: Trials, bands: tuple[Band, ...]) -> Iterator[tuple[Band, list[int]]]:
    """The bands that origins reach at least half of, and which origins these are."""
    errors = trials.errors(bands)
    for number, band in enumerate(bands):
        reaching = np.flatnonzero(np.isfinite(errors[:, number]).any(axis=1)).tolist()
        if reaching:
            yield band, reaching


def _tidy(model: str, band: Band, names: tuple[str, ...], each: Reals) -> Iterator[Row]:
    """Rows of scores (K, scores, N), their means over the origins."""
    for place, name in enumerate(names):
        values, origins = metrics.mean(each[:, place]), (~np.isnan(each[:, place])).sum(axis=0)
        defined = np.flatnonzero(origins)
        yield defined, model, band.name, name, values[defined], origins[defined]

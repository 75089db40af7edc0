"""What is complete enough to be forecast: which series are refused, and why; which sites a region and the network are
the sum of; and which weeks have a peak although hours are missing.

A site that cannot be forecast does not decide for the others: it is left out of its region and of the network, in the
past as ahead, so that their level does not step where it fell silent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from data.schema import (
    GLOBAL_KEY,
    MIN_PEAK_WEEKS,
    MIN_REPORTING_SHARE,
    MIN_SERIES_COMPLETENESS,
    MIN_WEEK_COMPLETENESS,
    Series,
)

Mask = npt.NDArray[np.bool_]
Reals = npt.NDArray[np.float64]

_HOUR = pd.Timedelta(hours=1)
# A week of hours: with less, a weekday has never been seen.
HOURS_AT_LEAST = 7 * 24
# A site that has been silent for a week is closed or broken, and what it would carry is not known.
SILENT_AT_MOST = pd.Timedelta(days=7)


def refusal_reason(hours: pd.Series, now: pd.Timestamp, closed: pd.Timestamp | None = None) -> str | None:
    """Why there is too little to go on in these hourly values (NaN where missing or masked, index UTC), or None.

    closed: since when the capacity of a site is 0, which refuses it unless it carries traffic all the same. What
    follows a semicolon says what mends it.
    """
    held = hours.dropna()
    if closed is not None and not (held.loc[closed.ceil("D") :] > 0.0).any():
        return f"closed since {closed:%Y-%m-%d} by its capacity of 0"
    if held.empty:
        return "no usable value: all hours are missing or masked"
    last = held.index[-1]
    if (silent := now - last - _HOUR) > SILENT_AT_MOST:
        return (
            f"silent since {last + _HOUR:%Y-%m-%d %H:%M} UTC; {silent.days} days, of which {SILENT_AT_MOST.days} are "
            "bridged: send its rows, or close the site with a capacity of 0"
        )
    if len(held) < HOURS_AT_LEAST:
        return f"{len(held)} usable hours of history; at least {HOURS_AT_LEAST} are needed"
    if (complete := len(held) * _HOUR / (now.floor("h") - held.index[0])) < MIN_SERIES_COMPLETENESS:
        return (
            f"{complete:.0%} of the hours since {held.index[0]:%Y-%m-%d} are usable; at least "
            f"{MIN_SERIES_COMPLETENESS:.0%} are needed"
        )
    return None


def is_constant(hours: pd.Series) -> bool:
    """Whether all values are the same: the forecast is that value."""
    return bool(hours.min() == hours.max())


def constant_reason(hours: pd.Series) -> str | None:
    """Why a model that needs something to learn refuses a constant series, or None."""
    return f"always {hours.min():g}: there is nothing to learn" if is_constant(hours) else None


# Sums of sites
# ----------------------------------------------------------------------------------------------------------------------


def groups_of(site: Series, regions: Mapping[str, str]) -> tuple[Series, ...]:
    """The region and the network that a site is part of."""
    region = regions.get(site.key)
    whole = Series("global", GLOBAL_KEY, site.metric)
    return (Series("region", region, site.metric), whole) if region else (whole,)


def members_of_sums(sites: Sequence[Series], regions: Mapping[str, str]) -> dict[Series, list[Series]]:
    """The sites of each region and of the network, by sum."""
    members: dict[Series, list[Series]] = {}
    for site in sites:
        for group in groups_of(site, regions):
            members.setdefault(group, []).append(site)
    return members


def sum_of_sites(values: pd.DataFrame, sites: Sequence[Series] | Sequence[str]) -> pd.Series:
    """The sum of some columns, missing where too few of those that have begun report, as in the rollups."""
    total, present, begun = (np.zeros(len(values)) for _ in range(3))
    for site in sites:
        column = values[site].to_numpy(float)
        known = np.isfinite(column)
        total += np.where(known, column, 0.0)
        present += known
        begun += np.maximum.accumulate(known)
    return pd.Series(np.where((begun > 0) & (present >= MIN_REPORTING_SHARE * begun), total, np.nan), values.index)


# Weeks
# ----------------------------------------------------------------------------------------------------------------------

WEEK_HOURS, DAY_HOURS = 168, 24
# Hours of the week that were missing in nine of ten of the last four weeks are missing always.
ALWAYS_WEEKS, ALWAYS_SHARE = 4, 0.9
# Weeks in which the same hours were measured, at the site before or at others, say whether they carry the peak: in
# nineteen of twenty, of at least so many, they raise it by no more than a twentieth.
RAISED_AT_MOST, AGREEING, EVIDENCE_WEEKS = 1.05, 0.95, 3
# Right before and after the missing hours a site typically carries less than this share of its weekly peak; otherwise it
# may rise to its peak within them.
EDGE_AT_MOST = 0.9
# Without a week in which they were measured, longer gaps may hide a peak whatever their edges are.
GAP_AT_MOST = 8
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def weeks_by_hour(hours: pd.Series) -> Reals:
    """Hourly values as weeks (W, 168) from Monday 00:00 UTC, NaN where missing."""
    index = pd.DatetimeIndex(hours.index)
    first = index[0].floor("D") - pd.Timedelta(days=index[0].day_of_week)
    at = ((index - first) // _HOUR).to_numpy()
    weeks = np.full((int(at[-1]) // WEEK_HOURS + 1) * WEEK_HOURS, np.nan)
    weeks[at] = hours.to_numpy(float)
    return weeks.reshape(-1, WEEK_HOURS)


def always_missing(hours: pd.Series) -> Mask:
    """Which hours of the week (168,), from Monday 00:00 UTC, were missing in the last four weeks."""
    recent = hours.iloc[-ALWAYS_WEEKS * WEEK_HOURS :]
    if len(recent) < ALWAYS_WEEKS * WEEK_HOURS or hours.first_valid_index() > recent.index[0]:
        return np.zeros(WEEK_HOURS, dtype=bool)
    place = pd.DatetimeIndex(recent.index).day_of_week * DAY_HOURS + pd.DatetimeIndex(recent.index).hour
    missing = np.bincount(place, recent.isna().to_numpy(), WEEK_HOURS) / ALWAYS_WEEKS
    return np.asarray((missing >= ALWAYS_SHARE) & (missing.min() < ALWAYS_SHARE))


def peaks_outside(hours: pd.Series, missing: Mask, others: Sequence[tuple[pd.Series, int]]) -> bool:
    """Whether hours of the week that are always missing can be told not to raise the weekly peak of a series.

    By its own earlier weeks in which they were measured, or else by those of `others`: their hours, and by how many
    hours their clock is ahead of the series'. Without any, a gap may only be short. In any case the series must carry
    clearly less than its peak right before and after each gap.
    """
    weeks = weeks_by_hour(hours)
    measured = weeks[np.isfinite(weeks[:, ~missing]).mean(axis=1) >= MIN_WEEK_COMPLETENESS]
    if len(measured) < EVIDENCE_WEEKS:
        return False
    gaps = list(_gaps(missing))
    edges = [edge % WEEK_HOURS for first, length in gaps for edge in (first - 1, first + length)]
    peak = np.median(np.nanmax(measured, axis=1))
    typical = np.array(
        [np.nanmedian(measured[:, edge]) if np.isfinite(measured[:, edge]).any() else 0.0 for edge in edges]
    )
    if typical.max() > EDGE_AT_MOST * peak:
        return False
    raised = _raised(weeks, missing)
    if len(raised) < EVIDENCE_WEEKS and others:
        raised = np.concatenate([_raised(weeks_by_hour(other), np.roll(missing, ahead)) for other, ahead in others])
    if len(raised) < EVIDENCE_WEEKS:
        return max(length for _, length in gaps) <= GAP_AT_MOST
    return float((raised <= RAISED_AT_MOST).mean()) >= AGREEING


def _raised(weeks: Reals, missing: Mask) -> Reals:
    """For each week in which the hours were measured: its peak over that of the other hours."""
    known = np.isfinite(weeks)
    is_whole = [known[:, hours].mean(axis=1) >= MIN_WEEK_COMPLETENESS for hours in (missing, ~missing)]
    whole = weeks[is_whole[0] & is_whole[1]]
    others = np.nanmax(whole[:, ~missing], axis=1, initial=0.0)
    peak = np.nanmax(whole, axis=1, initial=0.0)
    return np.asarray(np.divide(peak, others, out=np.full(len(whole), np.inf), where=others > 0.0))


def _gaps(missing: Mask) -> Iterator[tuple[int, int]]:
    """First hour and length of each stretch of missing hours of the week, which has no end."""
    starts = np.flatnonzero(missing & ~np.roll(missing, 1))
    for start in starts:
        rest = np.roll(missing, -start)
        yield int(start), int(np.argmin(rest))


def missing_hours_words(missing: Mask) -> str:
    """'every day lacks 00:00 to 06:00 UTC', of hours of the week that are always missing."""
    by_day = missing.reshape(7, DAY_HOURS)
    whole_days = [day for day, hours in zip(DAYS, by_day, strict=True) if hours.all()]
    if whole_days and missing.sum() == DAY_HOURS * len(whole_days):
        return f"every {' and '.join(whole_days)} is missing (UTC)"
    if (by_day == by_day[0]).all():
        spans = [f"{first:02d}:00 to {(first + length) % DAY_HOURS:02d}:00" for first, length in _gaps(by_day[0])]
        return f"every day lacks {' and '.join(spans)} UTC"
    return f"{int(missing.sum())} of the {WEEK_HOURS} hours of the week are always missing"


def weeks_reason(hours: pd.Series, whole: int, missing: Mask) -> str:
    """Why a series whose hours are forecast has no weekly peaks: it has too few whole weeks, and what they lack."""
    known = hours.loc[hours.first_valid_index() :]
    count = len(known) / WEEK_HOURS
    if count < MIN_PEAK_WEEKS + 1 and known.notna().mean() >= MIN_WEEK_COMPLETENESS:
        return f"too little history: {len(known) / DAY_HOURS:.0f} days; {MIN_PEAK_WEEKS} whole weeks are needed"
    found = "no week is whole" if whole == 0 else f"{whole} of {count:.0f} weeks {'is' if whole == 1 else 'are'} whole"
    needed = f"{MIN_PEAK_WEEKS} weeks with {MIN_WEEK_COMPLETENESS:.0%} of their hours are needed"
    share = f"{known.notna().mean():.0%} of the hours are measured"
    if missing.any():
        return f"{found}: {missing_hours_words(missing)}, and the peak may lie there; {share}, {needed}"
    return f"{found}: {share}; {needed}"

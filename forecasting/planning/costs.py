"""What capacity costs and what of it lies idle: 95th-percentile billing, stranded capacity, time-zone diversity, and the hours by region."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from data.schema import DIRECTION_OF, Direction
from forecasting.planning.demand import Reals
from forecasting.planning.ordering import USUAL_LEAD_DAYS

# A port is billed by the 95th percentile of its 5-minute means: the busiest 5 % of the month, 36 hours, are free.
BILLED = 0.95
MEGABITS = 1000.0
# A port as it is sold; a fraction of one cannot be bought.
PORT_GBPS = 100.0


def billing(samples: pd.DataFrame, partners: Mapping[str, str], usd_a_mbps: Mapping[str, float] | None = None, complete: float = 0.9) -> pd.DataFrame:
    """The 95th percentile of each partner's sum and month.

    samples: ts (start of the interval, UTC), site_id, ingest_gbps, egress_gbps at the telemetry's grain. Columns: partner, month (its first day), ingest_gbps
    and egress_gbps (P95 of the partner's sum), billed_gbps (the greater of both, as ports are billed), egress_apart_gbps (the sum of its sites' own P95s: what
    billing site by site would come to), samples (share of the month's intervals that count) and usd (NaN where no price is known).

    An interval counts where at least a share `complete` of the partner's sites, of those that reported in that month, did so; a month is as long as it has been
    seen. The P95 is of the kind that is billed: sort, strike the top 5 % of the samples, take the highest left.
    """
    held = samples.assign(partner=samples["site_id"].map(partners), month=samples["ts"].dt.strftime("%Y-%m-01")).dropna(subset=["partner"])
    rows = [_bill(str(partner), month, part, complete) for (partner, month), part in held.groupby(["partner", "month"], observed=True)]
    columns = ["partner", "month", "ingest_gbps", "egress_gbps", "billed_gbps", "egress_apart_gbps", "samples"]
    found = pd.DataFrame(rows, columns=columns)
    price = found["partner"].map(dict(usd_a_mbps or {})).astype(float)
    return found.assign(month=pd.to_datetime(found["month"], utc=True).astype("datetime64[us, UTC]"), usd=found["billed_gbps"] * MEGABITS * price)


def percentile_95(values: Reals) -> float:
    """The highest value once the top 5 % are struck out; NaN where there is none."""
    held = np.sort(values[np.isfinite(values)])
    return float(held[len(held) - 1 - int((1.0 - BILLED) * len(held) + 1e-9)]) if len(held) else float("nan")


def stranded(peaks_gbps: Mapping[str, float], capacity_gbps: Mapping[str, float], cost_usd_month: Mapping[str, float], limit: float) -> pd.DataFrame:
    """Headroom that is paid for and not used, by site, most USD first.

    peaks_gbps: the highest demand that is planned for, e.g. the P90 of the coming year's peaks. Columns: site_id, capacity_gbps, peak_gbps, needed_gbps (peak
    over the limit), stranded_gbps (capacity beyond that, at least 0), stranded_share, stranded_usd_month (NaN where the cost is not known).
    """
    keys = sorted(set(peaks_gbps) & set(capacity_gbps))
    frame = pd.DataFrame({"site_id": keys, "capacity_gbps": [capacity_gbps[key] for key in keys], "peak_gbps": [peaks_gbps[key] for key in keys]}).astype(
        {"capacity_gbps": float, "peak_gbps": float}
    )
    frame["needed_gbps"] = frame["peak_gbps"] / limit
    frame["stranded_gbps"] = (frame["capacity_gbps"] - frame["needed_gbps"]).clip(lower=0.0)
    frame["stranded_share"] = (frame["stranded_gbps"] / frame["capacity_gbps"]).where(frame["capacity_gbps"] > 0.0, 0.0)
    frame["stranded_usd_month"] = frame["stranded_share"] * frame["site_id"].map(dict(cost_usd_month)).astype(float)
    return frame.sort_values(["stranded_usd_month", "stranded_gbps"], ascending=False, na_position="last").reset_index(drop=True)


def ports_at_declared_prices(steps: pd.DataFrame, sites: pd.DataFrame, direction: Direction) -> pd.DataFrame | None:
    """What more capacity would cost where no catalogue is given: ports at each site, at what its newest priced capacity costs for a Gbps.

    steps: the contract's `capacity`; sites: its `sites`. The result is a catalogue as augment_problem.build takes it; None where no capacity has a price.
    """
    priced = steps[(steps["direction"] == direction) & (steps["capacity_gbps"] > 0.0) & steps["cost_usd_month"].notna()]
    newest = priced.sort_values("effective_from", kind="stable").drop_duplicates("site_id", keep="last")
    if newest.empty:
        return None
    leads = dict(zip(sites["site_id"], sites["lead_time_days"].astype(float), strict=True))
    usd = (PORT_GBPS * newest["cost_usd_month"].astype(float) / newest["capacity_gbps"]).to_numpy(float)
    waits = newest["site_id"].map(leads).astype(float).fillna(USUAL_LEAD_DAYS).to_numpy(float)
    return pd.DataFrame({"site_id": newest["site_id"].to_numpy(object), "gbps": PORT_GBPS, "cost_usd_month": usd, "lead_time_days": waits})


def diversity_factor(values: Reals) -> float:
    """The sum of peaks over the peak of the sum, of (stamps, sites): 1 where all peak together, more where time zones share the load; NaN where there is none.

    Stamps at which a site is missing are left out: a sum without one of its parts is no sum.
    """
    whole = values[np.isfinite(values).all(axis=1)]
    peak = whole.sum(axis=1).max(initial=0.0)
    return float(whole.max(axis=0).sum() / peak) if peak > 0.0 else float("nan")


def diversity(samples: pd.DataFrame, groups: Mapping[str, str], metric: str = "egress_gbps") -> dict[str, float]:
    """The diversity factor of each group of sites (site_id to region_id, or all to "all"), as Demand.summed takes it.

    samples: ts, site_id and the metric. The factor is that of whole weeks, the median over them, because what is summed are weekly peaks.
    """
    held = samples[samples["site_id"].isin(groups)]
    wide = held.pivot_table(index="ts", columns="site_id", values=metric)
    week = pd.DatetimeIndex(wide.index).tz_localize(None).to_period("W")
    found: dict[str, float] = {}
    for group in sorted(set(groups.values())):
        members = wide[[site for site in wide if groups[site] == group]]
        factors = [diversity_factor(part.to_numpy(float)) for _, part in members.groupby(week)]
        held_factors = [factor for factor in factors if np.isfinite(factor)]
        if held_factors:
            found[group] = float(np.median(held_factors))
    return found


def hours_by_region(samples: pd.DataFrame, regions: Mapping[str, str], metric: str = "egress_gbps") -> pd.DataFrame:
    """How full each region is in each hour of the UTC day, as a share of its own busiest hour: rows are regions, columns 0 to 23.

    Values are means over the days of the region's hourly sums. Rows stand in the order of their busiest hour, so that the strip shows the sun going round.
    """
    held = samples.assign(region=samples["site_id"].map(regions), hour=samples["ts"].dt.hour).dropna(subset=["region", metric])
    sums = held.groupby(["region", "ts", "hour"], observed=True)[metric].sum().reset_index()
    means = sums.pivot_table(index="region", columns="hour", values=metric, aggfunc="mean").reindex(columns=range(24)).astype(float)
    strip = means.div(means.max(axis=1), axis=0)
    return strip.loc[sorted(strip.index, key=lambda region: (int(strip.loc[region].argmax()), region))]


def _bill(partner: str, month: str, part: pd.DataFrame, complete: float) -> dict[str, object]:
    """One partner's month."""
    found: dict[str, object] = {"partner": partner, "month": month}
    for metric, direction in DIRECTION_OF.items():
        wide = part.pivot_table(index="ts", columns="site_id", values=metric, aggfunc="mean")
        counts = wide.notna().mean(axis=1) >= complete
        found[f"{direction}_gbps"] = percentile_95(wide[counts].sum(axis=1, min_count=1).to_numpy(float))
        if direction == "egress":
            found["egress_apart_gbps"] = float(sum(percentile_95(wide[site].to_numpy(float)) for site in wide)) if wide.size else float("nan")
            found["samples"] = float(counts.sum() / part["ts"].nunique())
    both = [float(str(found[f"{direction}_gbps"])) for direction in DIRECTION_OF.values()]
    found["billed_gbps"] = max((gbps for gbps in both if np.isfinite(gbps)), default=float("nan"))
    return found

"""No question ever tells a viewer of a site outside the viewer's scope."""

from __future__ import annotations

import inspect
from typing import Any

import pandas as pd
import pytest

from data import queries
from data.lake.query import EVERYTHING, Scope
from data.lake.tables import Lake
from data.queries import Query
from data.queries.compare import Subject
from data.schema import Level, Series
from tests.lakes import SITES

NAMES = {site: {site, name} for site, name, *_ in SITES}
OF_PARTNER = {row[0]: row[8] for row in SITES}
OF_A_SERIES = ("fit", "licence", "scores", "coverage", "residuals", "peaks", "drift", "hindsight")
QUESTIONS: dict[str, Query[..., Any]] = {
    name: ask for name, ask in vars(queries).items() if name in queries.__all__ and isinstance(ask, Query)
}


def cases(now: pd.Timestamp) -> dict[str, list[dict[str, Any]]]:
    """Arguments of the questions that need some; for levels and keys both inside and outside of most scopes."""
    recent = {"start": now - pd.Timedelta(days=3), "end": now}
    hours = {"start": now.floor("h") - pd.Timedelta(days=3), "end": now.floor("h")}
    places: list[tuple[Level, str]] = [
        ("site", "par-01"),
        ("site", "mad-01"),
        ("region", "eu-west"),
        ("global", "all"),
    ]
    series = [{"level": level, "key": key} for level, key in places]
    published = [
        {"series": Series(level, key, "egress_gbps"), "start": now, "end": now + pd.Timedelta(days=1)}
        for level, key in places
    ]
    return {
        "map_at": [{"ts": now - pd.Timedelta(hours=30)}, {"ts": now + pd.Timedelta(hours=30)}],
        "flows_at": [{"ts": now - pd.Timedelta(hours=3)}, {"ts": now + pd.Timedelta(days=3)}],
        "history": [{**s, **recent, "metrics": ("egress_gbps",), "grain": "1h"} for s in series],
        "capacity_steps": [{**s, "direction": "egress"} for s in series],
        "events": [{**s, "start": now - pd.Timedelta(days=30), "end": now} for s in series],
        "gaps": [{**s, **recent} for s in series],
        "site_series": [{**recent, "metric": "egress_gbps", "region_id": region} for region in ("eu-west", None)],
        "forecast": published,
        "bands": published,
        "backtest": [{"series": each["series"], "origin": now - pd.Timedelta(days=7)} for each in published],
        "run_against_run": [{"series": each["series"], "run": 1, "against": 2} for each in published],
        **{name: [{"series": each["series"]} for each in published] for name in OF_A_SERIES},
        "compare": [
            {"subjects": (Subject(level, key, **hours),), "metric": "egress_gbps", "zone": "UTC"}
            for level, key in places
        ],
        "drivers": [
            {"region_id": region, "metric": "egress_gbps", "at": now.floor("h"), "most": 3}
            for region in ("eu-west", None)
        ],
        "backtest_weeks": [{"metric": "egress_gbps"}],
        "weekly_peaks": [{**s, "metric": "egress_gbps", "weeks": 2} for s in series],
        "completeness": [{"days": 3}],
        "usual": [{"metric": "egress_gbps"}],
        "weekly": [{**recent, "metrics": ("egress_gbps",)}],
        "loads": [
            {**recent, "region_id": region, "direction": "egress", "quality": "rebuffer_ratio"}
            for region in ("eu-west", None)
        ],
        "partner_months": [{**recent, "metrics": ("egress_gbps",)}],
        "group_hours": [{**recent, "metrics": ("egress_gbps",)}],
        "hours_of_day": [{**recent, "metric": "egress_gbps"}],
        "site_capacity_steps": [{"direction": "egress"}],
        "planned_augments": [{"direction": "egress"}],
        "site_fits": [{"metric": "egress_gbps"}],
        "site_forecasts": [{"metric": "egress_gbps", "start": now, "end": now + pd.Timedelta(days=1)}],
        "samples_set_aside": [{**recent, "level": "global", "key": "all", "metric": "egress_gbps"}],
        "site_hours": [{**recent, "metric": "egress_gbps"}],
        "capacity_now": [{"direction": "egress", "now": now}],
        "plan_tables": [{"direction": "egress", "statistic": "peak"}],
        "refit_inputs": [{"series": each["series"], "horizon": pd.Timedelta(days=1)} for each in published],
        "futures": [
            {"level": level, "metric": "egress_gbps", "statistic": "peak"} for level in ("site", "region", "global")
        ],
    }


def partners_outside(sites: frozenset[str]) -> set[str]:
    """Partners that run no site of the scope."""
    return set(OF_PARTNER.values()) - {OF_PARTNER[site] for site in sites}


def told(answer: Any) -> str:
    text = answer.to_csv() if isinstance(answer, pd.DataFrame) else repr(answer)
    return text.replace("America/Chicago", "a zone that cities share")


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_every_question_takes_a_pin_and_a_scope(name: str) -> None:
    assert list(inspect.signature(QUESTIONS[name].function).parameters)[:2] == ["pin", "scope"]


@pytest.mark.parametrize("sites", [frozenset(), frozenset({"par-01", "lon-01", "chi-01"})], ids=["none", "some"])
def test_no_question_tells_of_a_site_outside_the_scope(full: Lake, sites: frozenset[str]) -> None:
    pin = full.pin()
    held = queries.extent(pin, EVERYTHING)
    assert held is not None
    outside = {word for site, words in NAMES.items() if site not in sites for word in words} | partners_outside(sites)
    for name, question in QUESTIONS.items():
        for arguments in cases(held.now).get(name, [{}]):
            named = inspect.signature(question.function).parameters.get("sites")
            must_name = named is not None and (named.default is inspect.Parameter.empty)
            chosen = {"sites": tuple(sorted(sites))} if must_name else {}
            answer = told(question(pin, Scope(sites), **arguments, **chosen))
            assert [word for word in outside if word in answer] == [], (name, arguments)


def test_a_site_outside_the_scope_has_no_series(full: Lake) -> None:
    pin, scope = full.pin(), Scope(frozenset({"fra-01"}))
    held = queries.extent(pin, EVERYTHING)
    assert held is not None
    start = held.now - pd.Timedelta(days=1)
    for grain in ("5min", "1h"):
        assert (
            queries.history(pin, scope, "site", "par-01", ("egress_gbps",), start, held.now, grain)["egress_gbps_mean"]
            .isna()
            .all()
        )
    for series in (
        Series("site", "par-01", "egress_gbps"),
        Series("region", "eu-west", "egress_gbps"),
        Series("global", "all", "egress_gbps"),
    ):
        assert queries.forecast(pin, scope, series, held.now, held.now + pd.Timedelta(days=1)).empty


def test_a_narrow_network_is_the_sum_of_its_sites(full: Lake) -> None:
    pin, scope = full.pin(), Scope(frozenset({"fra-01", "par-01"}))
    held = queries.extent(pin, scope)
    assert held is not None
    assert held.sites == 2
    start = held.now.floor("h") - pd.Timedelta(hours=5)
    ask: dict[str, Any] = {"metrics": ("egress_gbps",), "start": start, "end": held.now.floor("h"), "grain": "1h"}
    network = queries.history(pin, scope, "global", "all", **ask)
    parts = [queries.history(pin, EVERYTHING, "site", key, **ask)["egress_gbps_mean"] for key in ("fra-01", "par-01")]
    pd.testing.assert_series_equal(network["egress_gbps_mean"], sum(parts[1:], parts[0]))
    assert (network["egress_gbps_p95"] > network["egress_gbps_mean"]).all()
    assert (
        queries.headline(pin, scope).set_index("metric").loc["egress_gbps", "value"]
        < queries.headline(pin, EVERYTHING).set_index("metric").loc["egress_gbps", "value"]
    )

"""State in the URL: what a link says, what it cannot say, and what a hostile one does."""

from __future__ import annotations

import base64
import json
import random
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pandas as pd
import pytest
import streamlit as st
from hypothesis import given
from hypothesis import strategies as any_
from streamlit.testing.v1 import AppTest

from app import state
from app.state import CARRIED, CHOICES, FIRST_YEAR, LAST_YEAR, RUN_DIGITS, State, known, parse, texts
from data.schema import ID_PATTERN

CATALOGUE = pd.DataFrame(
    {
        "site_id": ["fra-01", "ams-01", "gru-01"],
        "region_id": ["eu-west", "eu-west", "sa"],
        "partner": ["Nordlicht & Co", "Nordlicht & Co", None],
    }
)
WORLD = known(CATALOGUE)
# A what-if of 1.5 MB in 2,000 letters.
BOMB = "z." + base64.urlsafe_b64encode(zlib.compress(b"[" + b"{}," * 500_000 + b"{}]", 9)).decode()
FIRST, LAST = datetime(FIRST_YEAR, 1, 2), datetime(LAST_YEAR, 12, 30)  # noqa: DTZ001
MOMENTS = any_.datetimes(FIRST, LAST).map(lambda m: m.replace(second=0, microsecond=0, tzinfo=UTC))


SINGLE = (
    "zone",
    "grain",
    "color",
    "map",
    "section",
    "table",
    "role",
    "metric",
    "part",
    "score",
    "history",
    "prior",
    "sheet",
    "direction",
    "statistic",
    "planned",
    "quantile",
    "weights",
    "months",
    "certainty",
    "survives",
    "quality",
    "scale",
    "by",
)


def subsets(name: str) -> any_.SearchStrategy[tuple[str, ...]]:
    return any_.sets(any_.sampled_from(CHOICES[name])).map(
        lambda chosen: tuple(option for option in CHOICES[name] if option in chosen)
    )


def places() -> any_.SearchStrategy[dict[str, Any]]:
    site = any_.sampled_from([{"site": s, "region": r} for s, r in WORLD.region_of.items()])
    return site | any_.sampled_from([{"site": None, "region": r} for r in (None, "eu-west", "sa")])


def ranges() -> any_.SearchStrategy[dict[str, Any]]:
    preset = any_.sampled_from([option for option in CHOICES["range"] if option != "custom"]).map(
        lambda option: {"range": option}
    )
    hours = any_.none() | any_.integers(1, 5000).map(lambda n: timedelta(hours=n))
    spans = any_.tuples(MOMENTS.filter(lambda m: m.year < LAST_YEAR), hours)
    custom = spans.map(lambda two: {"range": "custom", "start": two[0], "end": two[0] + two[1] if two[1] else None})
    return preset | custom


@any_.composite
def states(draw: any_.DrawFn) -> State:
    single = {name: draw(any_.sampled_from(CHOICES[name])) for name in SINGLE}
    several = {name: draw(subsets(name)) for name in ("show", "layers", "beside")}
    runs = {name: draw(any_.none() | any_.integers(1, 10**RUN_DIGITS - 1)) for name in ("run", "against")}
    event = draw(any_.sampled_from(["none", "all"]) | any_.from_regex(ID_PATTERN.replace("$", r"\Z"), fullmatch=True))
    moments = {name: draw(any_.none() | MOMENTS) for name in ("at", "origin", "week")}
    partner = draw(any_.none() | any_.sampled_from(sorted(WORLD.partners)))
    plan = {
        "limit": draw(any_.integers(50, 100)) / 100,
        "focus": draw(any_.sampled_from([None, "site:fra-01", "region:sa", "global:all"])),
        "fails": draw(
            any_.sampled_from([None, "site:fra-01", "region:sa", "partner:Nordlicht & Co", "path:fra-01>gru-01"])
        ),
        "plan": draw(any_.sampled_from([None, "0123456789abcdef"])),
        "whatif": draw(
            any_.none()
            | any_.integers(1, 60).map(
                lambda count: json.dumps([{"kind": "growth", "percent": 20 + at} for at in range(count)])
            )
        ),
        "scenario": draw(any_.sampled_from([None, "0123456789abcdef.12"])),
        "compare": draw(any_.sampled_from([None, "0123456789abcdef", "0123456789abcdef,00000000000000ff"])),
        "budget": draw(any_.none() | any_.integers(0, 10**12)),
        "steps": draw(any_.sampled_from([None, "10:900:0:", "10.5:900:0:,400:28000:1500:60"])),
    }
    chosen: dict[str, Any] = (
        draw(places())
        | draw(ranges())
        | single
        | several
        | runs
        | moments
        | plan
        | {"partner": partner, "without": event}
    )
    return State(**chosen)


@given(states(), any_.sampled_from(sorted(CARRIED)))
def test_what_a_page_writes_it_reads_again(before: State, page: str) -> None:
    written = texts(before, page)
    after = parse(written, WORLD)
    assert after.notes == ()
    for name in written:
        assert getattr(after, name) == getattr(before, name) or (
            name == "region" and before.site and page in {"overview", "capacity"}
        )


def test_a_long_what_if_is_packed_into_letters_that_an_address_keeps() -> None:
    held = json.dumps(
        [
            {
                "kind": "add_capacity",
                "adds": [["fra-01", "2026-09-07", 10.0 * at, 900.0, 0.0] for at in range(1, 201)],
                "direction": "egress",
            }
        ]
    )
    written = texts(State(whatif=held), "capacity")["whatif"]
    assert len(written) == len(quote_plus(written)) < 2000 < len(held)
    assert parse({"whatif": written}, WORLD).whatif == held
    assert state.fits(held)
    assert not state.fits(
        json.dumps([{"kind": "event", "start": base64.b64encode(random.Random(1).randbytes(1600)).decode()}])
    )


@pytest.mark.parametrize("page", sorted(CARRIED))
def test_a_link_carries_every_value_defaults_too(page: str) -> None:
    assert set(texts(State(), page)) == {"zone", *CARRIED[page]}
    assert all(texts(State(), page).values())


@given(any_.dictionaries(any_.sampled_from(sorted({"zone"}.union(*CARRIED.values()))), any_.text(max_size=200)))
def test_no_text_breaks_a_page(asked: dict[str, str]) -> None:
    found = parse(asked, WORLD)
    assert found.site is None or found.site in WORLD.region_of
    assert found.zone in CHOICES["zone"]
    assert parse({name: text for page in CARRIED for name, text in texts(found, page).items()}, WORLD).notes == ()


@pytest.mark.parametrize(
    ("asked", "default", "note"),
    [
        ({"site": "lhr-99"}, {"site": None}, "names a site that this lake does not have: `lhr-99`"),
        ({"region": "mars"}, {"region": None}, "names a region that this lake does not have: `mars`"),
        ({"limit": "80"}, {"limit": 0.8}, "asks for the limit `80`; it is a share of capacity from 0.5 to 1"),
        ({"focus": "site:lhr-99"}, {"focus": None}, "looks at a place that this lake does not have: `site:lhr-99`"),
        ({"fails": "site:lhr-99"}, {"fails": None}, "lets something fail that this lake does not have: `site:lhr-99`"),
        ({"fails": "partner:Evil Corp"}, {"fails": None}, "`partner:Evil Corp`"),
        ({"fails": "path:fra-01>lhr-99"}, {"fails": None}, "`path:fra-01>lhr-99`"),
        ({"fails": "path:fra-01"}, {"fails": None}, "`path:fra-01`"),
        ({"fails": "path:fra-01>gru-01>ams-01"}, {"fails": None}, "`path:fra-01>gru-01>ams-01`"),
        ({"plan": "../../etc"}, {"plan": None}, "names a plan that there is not: `../../etc`"),
        ({"week": "soon"}, {"week": None}, "has a time that cannot be read: `soon`"),
        ({"quantile": "p99"}, {"quantile": "p90"}, "asks for quantile `p99`; it is one of p50, p90"),
        ({"whatif": "[growth"}, {"whatif": None}, "holds a what-if that cannot be read: `[growth`"),
        ({"whatif": "z.\u00e9"}, {"whatif": None}, "holds a what-if that cannot be read"),
        ({"whatif": "z.eJyLrlbKzs"}, {"whatif": None}, "holds a what-if that cannot be read"),
        ({"whatif": BOMB}, {"whatif": None}, "holds a what-if that cannot be read"),
        ({"whatif": "x" * 3000}, {"whatif": None}, "holds a what-if of 3,000 letters"),
        (
            {"scenario": "0123456789abcdef"},
            {"scenario": None},
            "names a scenario that there is not: `0123456789abcdef`",
        ),
        (
            {"compare": ",".join(["0123456789abcdef"] * 5)},
            {"compare": None},
            "names a scenario that there is not: `0123456789abcdef,",
        ),
        ({"steps": "10:cheap:0:"}, {"steps": None}, "holds a catalogue that cannot be read: `10:cheap:0:`"),
        ({"budget": "2.5M"}, {"budget": None}, "holds a budget that is no whole number of USD: `2.5M`"),
        ({"budget": "9" * 5000}, {"budget": None}, "holds a budget that is no whole number of USD: `999"),
        ({"months": "36"}, {"months": "12"}, "asks for months `36`"),
        ({"partner": "Evil Corp"}, {"partner": None}, "names a partner that this lake does not have: `Evil Corp`"),
        ({"site": "<script>alert(1)</script>"}, {"site": None}, "`<script>alert(1)</script>`"),
        ({"site": "`![x](http://evil)"}, {"site": None}, "`'![x](http://evil)`"),
        ({"site": "x" * 10_000}, {"site": None}, f"`{'x' * 40}`..."),
        ({"zone": "Mars/Olympus"}, {"zone": "UTC"}, "asks for zone `Mars/Olympus`; it is one of UTC, site, viewer"),
        ({"layers": "sites,lasers"}, {"layers": State().layers}, "asks for layers `lasers`"),
        (
            {"metric": "bandwidth"},
            {"metric": "egress_gbps"},
            "asks for metric `bandwidth`; it is one of egress_gbps, ingest_gbps, viewers",
        ),
        ({"prior": "1e9"}, {"prior": "0.05"}, "asks for prior `1e9`"),
        ({"without": "a b"}, {"without": "none"}, "names an event that there is not: `a b`"),
        ({"run": "0"}, {"run": None}, "names a run that there is not: `0`"),
        ({"run": "9" * 5000}, {"run": None}, "names a run that there is not"),
        ({"against": "\u0663"}, {"against": None}, "names a run that there is not"),
        ({"origin": "never"}, {"origin": None}, "has a time that cannot be read: `never`"),
        ({"at": "yesterday"}, {"at": None}, "has a time that cannot be read: `yesterday`"),
        ({"at": "9999-12-31T23:59"}, {"at": None}, "has a time out of reach: `9999-12-31T23:59`"),
        ({"at": "0001-01-01T00:00+14:00"}, {"at": None}, "has a time that cannot be read"),
        (
            {"range": "custom", "start": "2026-02-02", "end": "2026-02-01"},
            {"range": "7d", "start": None, "end": None},
            "does not start before it ends",
        ),
        ({"range": "custom"}, {"range": "7d"}, "does not start before it ends"),
    ],
)
def test_an_unusable_value_falls_back_and_says_so(asked: dict[str, str], default: dict[str, object], note: str) -> None:
    found = parse(asked, WORLD)
    assert {name: getattr(found, name) for name in default} == default
    assert len(found.notes) == 1
    assert note in found.notes[0]
    assert len(found.notes[0]) < 200


def test_a_site_brings_its_region() -> None:
    assert parse({"site": "gru-01", "region": "eu-west"}, WORLD).region == "sa"


def test_times_are_read_in_utc() -> None:
    assert parse({"at": "2026-11-20T09:25"}, WORLD).at == datetime(2026, 11, 20, 9, 25, tzinfo=UTC)
    assert parse({"at": "2026-11-20T09:25+02:00"}, WORLD).at == datetime(2026, 11, 20, 7, 25, tzinfo=UTC)


def test_no_layer_at_all_is_a_choice() -> None:
    assert parse(texts(State(layers=()), "overview"), WORLD).layers == ()


# In a session
# -----------------------------------------------------------------------------------------------------------


def page() -> None:
    """A page of two widgets, as AppTest runs it; `page` in the session says which page is open."""
    import pandas as pd
    import streamlit as st

    from app import state

    catalogue = pd.DataFrame({"site_id": ["fra-01", "gru-01"], "region_id": ["eu-west", "sa"], "partner": ["A", None]})
    read = state.read(catalogue, st.session_state.get("page", "region"))
    st.segmented_control("Zone", state.CHOICES["zone"], **state.bound("zone"))
    st.selectbox("Site", ["fra-01", "gru-01"], index=None, **state.bound("site"))
    st.pills("Show", state.CHOICES["show"], selection_mode="multi", **state.bound("show"))
    st.text(state.link("region", site="gru-01"))
    st.session_state["seen"] = read


def opened(**asked: str) -> AppTest:
    test = AppTest.from_function(page)
    for name, text in asked.items():
        test.query_params[name] = text
    return test.run()


def url(test: AppTest) -> dict[str, str]:
    return {name: values[0] if isinstance(values, list) else values for name, values in test.query_params.items()}


def test_opening_completes_the_url() -> None:
    test = opened(zone="viewer")
    assert not test.exception
    assert url(test) == texts(State(zone="viewer"), "region")


def test_a_widget_changes_the_url_and_shows_what_the_url_says() -> None:
    test = opened(zone="site", show="events")
    assert test.segmented_control[0].value == "site"
    assert test.pills[0].value == ["events"]
    test.segmented_control[0].set_value("viewer").run()
    assert url(test)["zone"] == "viewer"
    test.pills[0].set_value([]).run()
    assert url(test)["show"] == ""
    assert test.session_state["seen"].show == ()


def test_the_chosen_segment_clicked_again_stays_chosen() -> None:
    test = opened(zone="site")
    test.segmented_control[0].set_value(None).run()
    assert test.session_state["seen"].zone == "site"
    assert test.segmented_control[0].value == "site"


def test_another_page_keeps_what_was_chosen() -> None:
    test = opened(zone="viewer", site="fra-01", range="28d")
    test.session_state["page"] = "data"
    test.query_params.clear()
    test.run()
    assert url(test) == texts(State(zone="viewer"), "data")
    test.session_state["page"] = "region"
    test.query_params.clear()
    test.run()
    assert test.session_state["seen"].site == "fra-01"
    assert test.session_state["seen"].range == "28d"


def test_the_overview_forgets_a_site_and_the_region_that_came_with_it() -> None:
    test = opened(site="fra-01")
    test.session_state["page"] = "overview"
    test.query_params.clear()
    test.run()
    assert test.session_state["seen"].region is None
    assert url(test)["region"] == "all"


def test_the_overview_keeps_a_region_that_was_chosen() -> None:
    test = opened(region="sa")
    test.session_state["page"] = "overview"
    test.query_params.clear()
    test.run()
    assert test.session_state["seen"].region == "sa"


def test_a_region_in_the_url_is_not_overruled_by_a_remembered_site() -> None:
    test = opened(site="fra-01")
    test.query_params.clear()
    test.query_params["region"] = "sa"
    test.run()
    assert test.session_state["seen"].region == "sa"
    assert test.session_state["seen"].site is None


def test_a_link_to_a_site_in_another_region_shows_the_site_and_says_so() -> None:
    assert opened(site="gru-01", region="eu-west").session_state["seen"].notes == (
        "The link asks for the site `gru-01` in the region `eu-west`; it lies in `sa`, which is shown.",
    )
    assert opened(site="gru-01", region="sa").session_state["seen"].notes == ()


def test_a_link_reproduces_the_page() -> None:
    test = opened(zone="viewer", site="fra-01", range="90d")
    address = urlsplit(test.text[0].value)
    assert address.path == "./region"
    again = opened(**dict(parse_qsl(address.query)))
    assert again.session_state["seen"] == State(zone="viewer", site="gru-01", region="sa", range="90d")


def test_a_change_of_region_leaves_the_site() -> None:
    st.session_state.clear()
    changed = state._changed(State(site="fra-01", region="eu-west"), {"region": "sa"})
    assert (changed.region, changed.site) == ("sa", None)
    assert state._changed(changed, {"region": "sa", "site": "gru-01"}).site == "gru-01"

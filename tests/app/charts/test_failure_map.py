"""A failure as a map and as tables: what is crossed out, coloured, ringed and drawn between, and what stays so that the
browser keeps its view.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from app import theme
from app.charts import map_view
from app.charts.map_view import Camera
from app.views.capacity.failure_charts import (
    ARCS_SHOWN,
    FailureMap,
    arc_rows,
    failure_deck,
    failure_legend,
    move_rows,
    pickable_layers,
    site_rows,
    words,
)

WEEK = pd.Timestamp("2026-11-16", tz="UTC")


def site(number: int, **changes: Any) -> dict[Hashable, Any]:
    usual: dict[Hashable, Any] = {
        "site_id": f"s-{number}",
        "name": f"Site {number}",
        "region_name": "Europe",
        "lat": 40.0 + number,
        "lon": 3.0 * number,
        "before_gbps": 100.0,
        "load_gbps": 100.0,
        "taken_gbps": 0.0,
        "shed_gbps": 0.0,
        "before": 0.5,
        "after": 0.5,
        "limit": 0.8,
        "passed": False,
        "share": 0.0,
    }
    usual.update(changes)
    return usual


DOWN = site(1, load_gbps=0.0, shed_gbps=20.0, after=0.0, share=1.0, name='"><script>alert(1)</script>')
TAKES = site(2, taken_gbps=80.0, load_gbps=180.0, after=0.9, passed=True, before=0.5)
ASIDE = site(3)


def drawn(*rows: dict[Hashable, Any], moves: list[tuple[str, str, float]] | None = None, **changes: Any) -> FailureMap:
    between = pd.DataFrame(moves if moves is not None else [("s-1", "s-2", 80.0)], columns=["source", "target", "gbps"])
    held = FailureMap(
        pd.DataFrame(rows or (DOWN, TAKES, ASIDE)),
        between,
        None,
        200.0,
        "app/static/land",
        Camera(45.0, 5.0, 2.0),
        map_view.WIDE,
        "light",
    )
    return replace(held, **changes)


def layers(held: FailureMap) -> dict[str, Any]:
    return {layer["id"]: layer for layer in json.loads(failure_deck(held).to_json())["layers"]}


def test_what_is_down_is_crossed_out_and_who_passes_a_limit_is_ringed() -> None:
    found = layers(drawn())
    assert [row["k"] for row in found["failed-0"]["data"]] == ["cross"]
    assert [row["id"] for row in found["sites-0"]["data"]] == ["s-2", "s-3"]
    assert [row["id"] for row in found["passed"]["data"]] == ["s-2"]
    taker, aside = found["sites-0"]["data"]
    assert taker["c"][:3] == list(theme.rgb(theme.PALETTES["light"].utilisation[4]))
    assert aside["c"][:3] == list(theme.rgb(theme.PALETTES["light"].context))
    assert {row["n"] for row in found["labels"]["data"]} == {DOWN["name"], "Site 2"}


def test_a_site_that_fails_in_part_stands_and_its_path_is_drawn() -> None:
    found = layers(drawn(site(1, share=0.4, shed_gbps=5.0), TAKES, cut=("s-2", "s-1")))
    assert found["failed-0"]["data"] == []
    assert found["cut-0"]["data"][0]["t"] == "This path fails"
    assert words(site(1, share=0.4, shed_gbps=5.0)).splitlines()[1] == "\u2715 fails: 40.0 Gbps must go elsewhere"


def test_the_view_stays_while_it_plays_and_a_click_turns_the_layers_over() -> None:
    before, after = (
        json.loads(failure_deck(held).to_json()) for held in (drawn(), drawn(site(1), site(2), moves=[], turn=1))
    )
    assert before["initialViewState"] == after["initialViewState"]
    assert before["views"] == after["views"]
    assert "mapProvider" not in before  # no base map is asked of anybody
    assert not set(pickable_layers(0)) & {
        layer["id"] for layer in after["layers"]
    }  # what was clicked is not there any more, and cannot stay marked


def test_arcs_are_the_largest_moves_as_wide_as_they_are_large() -> None:
    rows = [site(number) for number in range(300)]
    moves = [("s-0", f"s-{number}", float(number)) for number in range(1, 300)]
    found = arc_rows(drawn(*rows, moves=moves))
    assert len(found) == ARCS_SHOWN
    widths = [row["w"] for row in found]
    assert widths == sorted(widths, reverse=True)
    assert found[0]["t"] == "299 Gbps moves"
    assert any(f"the largest {ARCS_SHOWN} of 299" in entry.words for entry in failure_legend(drawn(*rows, moves=moves)))
    assert arc_rows(drawn(site(1), site(2, lat=np.nan))) == []  # a site without a place has no arc


def test_the_legend_names_what_is_there_alone() -> None:
    told = [entry.words for entry in failure_legend(drawn())]
    assert {"fails", "takes nothing over", "passes its limit because of it", "demand that moves"} <= set(told)
    assert "fails" not in [entry.words for entry in failure_legend(drawn(ASIDE, moves=[]))]


def test_tables_hold_those_who_take_part_the_failed_first() -> None:
    sites = pd.DataFrame([ASIDE, TAKES, DOWN]).assign(week=WEEK, capacity_gbps=200.0)
    found = site_rows(sites, {"s-1": 1.0}, {"s-1": "One", "s-2": "Two"}, {"s-1": 250.0, "s-2": 250.0})
    assert found["Site"].tolist() == ["One", "Two"]
    assert found["Part"].tolist() == ["fails", "takes over"]
    assert found["Viewers"].tolist() == [5000.0, 0.0]
    assert "Viewers" not in site_rows(sites, {"s-1": 1.0}, {}, None)
    moves = pd.DataFrame({"week": WEEK, "source": "s-1", "target": ["s-3", "s-2", "s-4"], "gbps": [20.0, 60.0, 1e-9]})
    told = move_rows(moves, {"s-2": "Two"})
    assert told["To"].tolist() == ["Two", "s-3"]
    assert told["Share"].tolist() == [75.0, 25.0]

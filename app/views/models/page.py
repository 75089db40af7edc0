"""May I trust this forecast? How far off it typically is and whether its bands hold, what is drawn and why, how it would
have done before, what it is made of, and how runs compare.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.column_config import ButtonColumn, NumberColumn, TextColumn

from app import cached, state, theme
from app.cached import Series
from app.ui import empty_states, export, licence, place
from app.ui.empty_states import plain
from app.ui.header import Frame
from app.ui.tables import HEADER_PX, ROW_PX, cards
from app.views.models import backtests, charts, components, run_history
from data.schema import GLOBAL_KEY, METRIC, model_words

PARTS = {"verdict": "Drawn and why", "backtests": "Backtests", "components": "Components", "runs": "Runs"}
METRICS = {"egress_gbps": "Egress", "ingest_gbps": "Ingest", "viewers": "Viewers"}
NETWORK = "the network"


def show(frame: Frame) -> None:
    """The series that is chosen with its accuracy, every series in a fold, then one part at a time: what is not chosen is
    not computed.
    """
    series, name = choose(frame)
    scored = accuracy(frame, series, name)
    st.segmented_control(
        "Part", list(PARTS), format_func=PARTS.__getitem__, label_visibility="collapsed", **state.bound("part")
    )
    draw = {
        "verdict": drawn_and_why,
        "backtests": backtests.draw,
        "components": components.draw,
        "runs": run_history.draw,
    }
    part = state.current().part
    if scored or part in ("components", "runs"):
        draw[part](frame, series, name)


def choose(frame: Frame) -> tuple[Series, str]:
    """The series that the page is about, and the name of its place."""
    now = place.chosen(frame)
    with (
        st.popover(f"{METRICS[state.current().metric]}, {now.name}", icon=":material/tune:", width="stretch")
        if frame.narrow
        else st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="series-choices")
    ):
        where = place.choose(frame)
        st.selectbox(
            "Metric", state.CHOICES["metric"], format_func=METRICS.__getitem__, width=140, **state.bound("metric")
        )
    return Series(where.level, where.key, state.current().metric), where.name


# How far forecasts may be trusted
# ----------------------------------------------------------------------------------------------------


def accuracy(frame: Frame, series: Series, name: str) -> bool:
    """The accuracy of the series and of the network in a sentence each; False where no run has scored forecasts, which is
    said.
    """
    fleet = cached.series_accuracy(frame.pin, frame.scope)
    if fleet.empty:
        unscored(frame)
        return False
    rows, metric = cached.accuracy(frame.pin, frame.scope), METRIC[series.metric].label
    mine = licence.accuracy_of(rows, series)
    network = Series("global", GLOBAL_KEY, series.metric)
    called = NETWORK if series == network else name
    st.markdown(
        f"## {plain(licence.accuracy_sentence(f'{metric} of {called}', mine))}", help=licence.accuracy_details(mine)
    )
    if series != network:
        whole = licence.accuracy_of(rows, network)
        st.markdown(
            plain(licence.accuracy_sentence(f"{metric} of {NETWORK}", whole)), help=licence.accuracy_details(whole)
        )
    every_series(frame, fleet)
    return True


def unscored(frame: Frame) -> None:
    """Which command makes the tables that this page is about."""
    run = cached.latest_run(frame.pin, frame.scope)
    command = {
        "Backtest every series, choose what is drawn, and publish": f"python -m forecasting refresh --engine panel --lake {frame.pin.url}"
    }
    if run is None:
        empty_states.nothing(
            "No forecast has been published yet", "There is nothing to test before the first.", command
        )
        return
    why = f"Run {run.number} was made by the engine {run.engine}, and holds forecasts without backtests or scores."
    empty_states.nothing("The newest run was not tested", why, command)


def every_series(frame: Frame, fleet: pd.DataFrame) -> None:
    """In a fold whose title says how many bands hold: a row for each series, the least covered first; a click on a name
    shows its series.
    """
    tested = fleet.dropna(subset="inside_95")
    if tested.empty:
        return
    names, worst = place_names(frame), tested.iloc[0]
    holding = int((tested["inside_95"] >= licence.HOLDS).sum())
    title = (
        f"The 95 % bands of {holding} of {len(tested)} series hold at every horizon; least covered: "
        f"{names[worst['level'], worst['key']]}, {METRIC[worst['metric']].label.lower()}, "
        f"{theme.percent(worst['inside_95'])} of hours {licence.AHEAD[worst['least_at']]}"
    )
    with st.expander(plain(title), **state.fold("series")) as fold:
        if fold.open:
            series_table(frame, fleet, names)


def series_table(frame: Frame, fleet: pd.DataFrame, names: dict[tuple[str, str], str]) -> None:
    """Every series with its accuracy first and what specialists ask for after it."""
    shown = fleet.assign(
        name=[names.get((row.level, row.key), row.key) for row in fleet.itertuples()],
        label=[METRIC[metric].label for metric in fleet["metric"]],
        horizons=[
            f"{licence.LICENSED.glyph if row.won else licence.UNTRIED.glyph} {row.won} of {row.tested}"
            for row in fleet.itertuples()
        ],
    )
    if frame.narrow:
        series_cards(frame, shown)
        return
    st.dataframe(
        shown.assign(**{share: 100 * shown[share] for share in SHARES}),
        column_config=columns(frame, fleet),
        column_order=list(COLUMNS),
        hide_index=True,
        height=min(MOST_PX, HEADER_PX + ROW_PX * len(shown)),
        row_height=ROW_PX,
        key="series-table",
        placeholder=theme.NO_DATA,
        alt="Every series with its error, coverage and licences, the least covered first; a click on a name shows its series",
    )
    licences = cached.licences(frame.pin, frame.scope)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(f"Licensed: {licensed_shares(licences)}.", help=LICENSED_HELP)
        units = dict.fromkeys(SHARES, "ratio")
        export.csv_button(shown, "accuracy of every series", "series-csv", units, frame.zone)


def series_cards(frame: Frame, shown: pd.DataFrame) -> None:
    """The same as cards for a narrow screen; a name is a link to its series."""
    rows = shown.to_dict("records")
    titles = [
        f"**[{plain(row['name'])}, {row['label'].lower()}]({state.link('models', **choice(frame, row['level'], row['key'], row['metric']))})**"
        for row in rows
    ]

    def lines(at: int) -> list[str]:
        row = rows[at]
        if theme.missing(row["inside_95"]):
            return [licence.UNTESTED]
        return [
            f"off by {theme.percent(row['wape'])} in the first week",
            f"{theme.percent(row['inside_95'])} of hours in the 95 % band {licence.AHEAD[row['least_at']]}, where it held worst",
        ]

    cards(titles, lines, key="series-cards")


# Rows of the table before it scrolls, in px.
MOST_PX = 322
SHARES = ("wape", "gain", "inside_95", "inside_80", "against_baseline", "peaks_90", "p95_90")
LICENSED_HELP = (
    "A forecast is licensed where it beat the best baseline out of sample by more than the noise, with what its panel proves "
    "counted in; where it did not, more of that baseline is mixed in."
)
COLUMNS: dict[str, Any] = {
    "name": None,
    "label": TextColumn("Metric", width=80),
    "wape": NumberColumn("Off by, 7 days", width=110, format="%.3g %%", help="WAPE of the first week in backtests"),
    "gain": NumberColumn(
        "Better than last week",
        width=150,
        format="%.3g %%",
        help="How much lower that error is than that of repeating last week; negative: higher",
    ),
    "inside_95": NumberColumn(
        "In the 95 % band", width=125, format="%.3g %%", help="Share of hours at the horizon where the band held worst"
    ),
    "least_at": TextColumn("worst at", width=80, help="Horizon where the 95 % band held worst"),
    "inside_80": NumberColumn(
        "In the 80 % band", width=125, format="%.3g %%", help="Share of hours of the backtests, mean of the horizons"
    ),
    "horizons": TextColumn("Horizons licensed", width=130, help="Of the horizons that were tested"),
    "against_baseline": NumberColumn(
        "MASE against baseline",
        width=160,
        format="%.3g %%",
        help="Mean scaled error of what is drawn over that of the best baseline, less one; negative: lower",
    ),
    "peaks_90": NumberColumn(
        "Peaks under the 0.9 quantile", width=190, format="%.3g %%", help="Share of past weeks; 90 % is meant"
    ),
    "p95_90": NumberColumn(
        "P95 under the 0.9 quantile", width=180, format="%.3g %%", help="Share of past weeks; 90 % is meant"
    ),
}


def columns(frame: Frame, fleet: pd.DataFrame) -> dict[str, Any]:
    """How each column of the table reads; a click on a name shows its series."""
    name = ButtonColumn(
        "Series of",
        type="tertiary",
        alignment="left",
        pinned=True,
        width=170,
        key=_CLICK,
        on_click=partial(_series_chosen, frame, fleet[["level", "key", "metric"]]),
        help="Shows the series above and below",
    )
    return COLUMNS | {"name": name}


_CLICK = "series-table.click"


def _series_chosen(frame: Frame, rows: pd.DataFrame) -> None:
    click = st.session_state.get(_CLICK)
    if click is not None:
        state.update(**choice(frame, *rows.iloc[int(click["row"])]))


def choice(frame: Frame, level: str, key: str, metric: str) -> dict[str, str | None]:
    """What changes in the state where a series is chosen."""
    if level == "site":
        return {"metric": metric, "site": key, "region": str(frame.catalogue.set_index("site_id")["region_id"][key])}
    return {"metric": metric, "site": None, "region": key if level == "region" else None}


def place_names(frame: Frame) -> dict[tuple[str, str], str]:
    """What people call each place, by level and key."""
    places = {
        "site": place.site_names(frame.catalogue, None),
        "region": place.region_names(frame.catalogue),
        "global": {GLOBAL_KEY: NETWORK},
    }
    return {(level, key): name for level, known in places.items() for key, name in known.items()}


def licensed_shares(licences: pd.DataFrame) -> str:
    """'0-24 h 122 of 136, 1-7 d 110 of 136': series that are licensed, of those tested, by horizon."""
    tested = licences[licences["origins"] > 0].groupby("horizon", sort=False)["licensed"].agg(["sum", "size"])
    return ", ".join(f"{plain(row.Index)} {row.sum} of {row.size} series" for row in tested.itertuples())


# What is drawn, and why
# ----------------------------------------------------------------------------------------------------


def drawn_and_why(frame: Frame, series: Series, name: str) -> None:
    """What is drawn against the best of the past, the best baseline and Prophet; how it was decided and all other models in
    folds.
    """
    decided = cached.licence(frame.pin, frame.scope, series)
    fit = cached.fit(frame.pin, frame.scope, series)
    if fit is not None and fit.status != "fitted":
        st.caption(f":material/info: {plain(name)} has no forecast: {plain(fit.reason)}")
    if decided.empty:
        st.caption(f":material/info: {plain(name)} was not tested by the newest run.")
        return
    scores = cached.scores(frame.pin, frame.scope, series)
    rows = charts.rivals(scores, decided)
    st.markdown(f"### Drawn: {plain(drawn_words(decided))}")
    if len(rows):
        st.markdown(why_not_the_best(rows, series))
        against_others(frame, series, name, rows)
    else:
        st.markdown("Untested: its history is too short for a backtest.")
    with st.expander("How it was decided: the licence of each horizon", **state.fold("licence")) as fold:
        if fold.open:
            licence_lines(frame, decided, name)
    models = scores.loc[~scores["model"].isin([*charts.OF_WEEKS, charts.AS_DRAWN]), "model"].nunique()
    if models:
        with st.expander(f"All {models} models by score", **state.fold("models")) as fold:
            if fold.open:
                leaderboards(frame, series, name, scores, decided)


def drawn_words(decided: pd.DataFrame) -> str:
    """'sum of its sites', or 'weighted blend of models up to 7 d, same hour last week 8 to 90 d'."""
    models = set(decided["model"])
    if len(models) == 1:
        return model_words(models.pop())
    runs = decided.groupby((decided["model"] != decided["model"].shift()).cumsum())
    return ", ".join(f"{model_words(part['model'].iloc[0])} {licence.reach(list(part['horizon']))}" for _, part in runs)


def why_not_the_best(rows: pd.DataFrame, series: Series) -> str:
    """One sentence, as Markdown, on what did best in the backtests and why that is not what is drawn."""
    lost = rows[[charts.BEST_ROLE in roles and charts.DRAWN_ROLE not in roles for roles in rows["role"]]]
    if lost.empty:
        return "No model did better in its backtests, at any horizon."
    why = (
        "every site has its own forecast, and regions and the network are their sums, so that all levels agree"
        if series.level != "site"
        else "what is drawn was chosen before each test was seen: models weighted by their other backtests, mixed with a plain "
        "copy of the past the more, the less they are proven to beat it"
    )
    best = "; ".join(dict.fromkeys(map(model_words, lost["model"])))
    return plain(
        f"The best of the past ({best}) is not drawn: which model would win is known only afterwards, and a winner owes part of its "
        f"lead to luck; {why}."
    )


def against_others(frame: Frame, series: Series, name: str, rows: pd.DataFrame) -> None:
    """Error and coverage of what is drawn beside those of its rivals."""
    said = "; ".join(
        f"{row.horizon}: {', '.join(row.role).lower()} {model_words(row.model)} {theme.percent(row.wape)}"
        for row in rows.itertuples()
    )
    inside = "; ".join(
        f"{row.horizon} {theme.percent(row.inside_95)}" for row in rows.itertuples() if charts.DRAWN_ROLE in row.role
    )
    figures = {
        "rivals-error": (
            charts.error_chart(rows, metric=series.metric, scheme=frame.scheme),
            f"How far off forecasts of {name} typically are, by horizon: {said}",
        ),
        "rivals-inside": (
            charts.inside_chart(rows, metric=series.metric, scheme=frame.scheme),
            f"Share of hours inside the 95 % band of what is drawn for {name}, by horizon: {inside}",
        ),
    }
    data = rows.assign(role=rows["role"].map("; ".join))
    units = {"wape": "ratio", "inside_95": "ratio"}
    export.charts(
        figures, columns=2, key="rivals", name=f"{name} drawn against others", data=data, units=units, zone=frame.zone
    )


def licence_lines(frame: Frame, decided: pd.DataFrame, name: str) -> None:
    """What is drawn at each horizon, with the numbers that decided it; the run's own words for it on hover."""
    with st.container(gap="xsmall", key="licence"):
        for line, reason in licence.lines(decided):
            st.markdown(line, help=plain(reason))
        with st.container(horizontal=True, horizontal_alignment="right"):
            export.csv_button(decided, f"{name} licence", "licence-csv", zone=frame.zone)


def leaderboards(frame: Frame, series: Series, name: str, scores: pd.DataFrame, decided: pd.DataFrame) -> None:
    """A chart for each horizon that has scores, by the score that is chosen."""
    st.selectbox(
        "Score",
        state.CHOICES["score"],
        format_func=charts.SCORES.__getitem__,
        width=200,
        help="  \n".join(f"**{charts.SCORES[score]}**: {meaning}" for score, meaning in charts.MEANINGS.items()),
        **state.bound("score"),
    )
    score = state.current().score
    rows = scores[(scores["score"] == score) & ~scores["model"].isin(charts.OF_WEEKS)]
    specs = [
        _leaderboard(frame, series, score, str(horizon), part, decided)
        for horizon, part in rows.groupby("horizon", sort=False)
    ]
    if not specs:
        st.caption(f":material/info: The newest run has no score of this kind for {plain(name)}.")
        return
    shown = {f"leaderboard-{at}": (charts.leaderboard(spec), alt(spec)) for at, spec in enumerate(specs)}
    export.charts(shown, columns=2, key="leaderboard", name=f"{name} {score} by model", data=rows, zone=frame.zone)
    st.caption(
        f"{charts.SCORES[score]}: {charts.MEANINGS[score]}. \u2605 best of all, \u25a0 what is drawn, \u25cb the best baseline."
    )


def _leaderboard(
    frame: Frame, series: Series, score: str, horizon: str, rows: pd.DataFrame, decided: pd.DataFrame
) -> charts.Leaderboard:
    """One horizon with what its licence says of it."""
    mine = decided[decided["horizon"] == horizon]
    drawn, baseline = ("", "") if mine.empty else (str(mine["model"].iloc[0]), str(mine["baseline"].iloc[0]))
    return charts.Leaderboard(horizon, score, series.metric, rows, drawn, baseline, frame.scheme)


def alt(spec: charts.Leaderboard) -> str:
    """The chart in a sentence."""
    best = charts.best_first(spec.rows, spec.score)
    names = ", ".join(map(model_words, best["model"]))
    drawn = model_words(spec.drawn) or "none"
    return (
        f"{charts.SCORES[spec.score]} of {len(best)} models {spec.horizon} ahead, best first: {names}; drawn is {drawn}"
    )

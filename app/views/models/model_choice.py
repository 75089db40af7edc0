"""What is drawn for a series and why: a sentence for each horizon, and how every model did."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached, state
from app.cached import Series
from app.ui import empty_states, export
from app.ui.header import Frame
from app.ui.licence import lines
from app.views.models.leaderboard_charts import MEANINGS, OF_WEEKS, SCORES, Leaderboard, best_first, leaderboard
from data.schema import model_words

COLUMNS = 2


def draw(frame: Frame, series: Series, name: str) -> None:
    """The licence, then the leaderboards."""
    licence = cached.licence(frame.pin, frame.scope, series)
    fit = cached.fit(frame.pin, frame.scope, series)
    if fit is not None and fit.status != "fitted":
        st.caption(f":material/info: {empty_states.plain(name)} has no forecast: {empty_states.plain(fit.reason)}")
    if licence.empty:
        st.caption(f":material/info: {empty_states.plain(name)} was not judged by the newest run.")
        return
    sentences(frame, licence, name)
    leaderboards(frame, series, name, licence)


def sentences(frame: Frame, licence: pd.DataFrame, name: str) -> None:
    """What is drawn at each horizon, with the numbers; the run's own words for it when asked."""
    with st.container(border=True, gap="xsmall", key="licence"):
        for line, reason in lines(licence):
            st.markdown(line, help=empty_states.plain(reason))
        with st.container(horizontal=True, horizontal_alignment="right"):
            export.csv_button(licence, f"{name} licence", "licence-csv", zone=frame.zone)


def leaderboards(frame: Frame, series: Series, name: str, licence: pd.DataFrame) -> None:
    """A chart for each horizon that has scores, by the score that is chosen."""
    st.selectbox(
        "Score",
        state.CHOICES["score"],
        format_func=SCORES.__getitem__,
        width=200,
        help=score_help(),
        **state.bound("score"),
    )
    score = state.current().score
    rows = cached.scores(frame.pin, frame.scope, series)
    rows = rows[(rows["score"] == score) & ~rows["model"].isin(OF_WEEKS)]
    specs = [
        _spec(frame, series, score, str(horizon), part, licence)
        for horizon, part in rows.groupby("horizon", sort=False)
    ]
    if not specs:
        st.caption(f":material/info: The newest run has no score of this kind for {empty_states.plain(name)}.")
        return
    shown = {f"leaderboard-{at}": (leaderboard(spec), alt(spec)) for at, spec in enumerate(specs)}
    export.charts(
        shown, columns=COLUMNS, key="leaderboard", name=f"{name} {score} by model", data=rows, zone=frame.zone
    )
    st.caption(
        f"{SCORES[score]}: {MEANINGS[score]}. \u2605 best of all, \u25a0 what is drawn, \u25cb the best baseline."
    )


def score_help() -> str:
    """What each score means."""
    return "  \n".join(f"**{SCORES[score]}**: {meaning}" for score, meaning in MEANINGS.items())


def _spec(
    frame: Frame, series: Series, score: str, horizon: str, rows: pd.DataFrame, licence: pd.DataFrame
) -> Leaderboard:
    """One horizon with what its licence says of it."""
    mine = licence[licence["horizon"] == horizon]
    if mine.empty:
        return Leaderboard(horizon, score, series.metric, rows, scheme=frame.scheme)
    row = mine.iloc[0]
    return Leaderboard(horizon, score, series.metric, rows, str(row["model"]), str(row["baseline"]), frame.scheme)


def alt(spec: Leaderboard) -> str:
    """The chart in a sentence."""
    best = best_first(spec.rows, spec.score)
    names = ", ".join(map(model_words, best["model"]))
    drawn = model_words(spec.drawn) or "none"
    return f"{SCORES[spec.score]} of {len(best)} models {spec.horizon} ahead, best first: {names}; drawn is {drawn}"

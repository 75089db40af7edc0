"""A declared failover table: refused with the row and the remedy where it cannot be used."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from data.schema.errors import SettingError
from forecasting.planning.failover import failover_of, failover_rule, nearby, parse_failover

SITES = ["fra-01", "ams-01", "gru-01"]


def rows(text: str) -> pd.DataFrame:
    """Rows as the command and the page give them: text."""
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


GOOD = "site_id,helper_site_id,weight\nfra-01,ams-01,2\nfra-01,gru-01,0.5\n"


def test_a_table_is_the_same_from_csv_and_parquet_in_any_order() -> None:
    frame = pd.read_csv(io.StringIO(GOOD))
    found = parse_failover("ours.csv", rows(GOOD), SITES)
    assert found.frame.to_dict("list") == frame.to_dict("list")
    other = parse_failover("ours.parquet", frame.iloc[::-1], SITES)
    assert other.digest == found.digest
    assert "fra-01" not in repr(found)  # an answer is kept by the digest, not by thousands of rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"{GOOD}lhr-99,fra-01,1\n",
            "Row 4 of ours.csv names a site that the lake does not have: lhr-99 to fra-01 with weight 1",
        ),
        (f"{GOOD}ams-01,ams-01,1\n", "Row 4 of ours.csv lets a site help itself"),
        (
            f"{GOOD}ams-01,fra-01,-1\n",
            "has a weight that is not a number of at least 0: ams-01 to fra-01 with weight -1",
        ),
        (
            f"{GOOD}ams-01,fra-01,much\n",
            "has a weight that is not a number of at least 0: ams-01 to fra-01 with weight much",
        ),
        (f"{GOOD}ams-01,fra-01,\n", "has a weight that is not a number"),
        (f"{GOOD}ams-01,fra-01,inf\n", "has a weight that is not a number"),
        (f"{GOOD}fra-01,ams-01,1\n", "names a pair a second time: fra-01 to ams-01"),
    ],
)
def test_a_bad_table_says_which_row_and_what_mends_it(text: str, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_failover("ours.csv", rows(text), SITES)
    assert said in str(caught.value)
    assert "Remedy: " in str(caught.value)


def test_the_words_of_a_missing_value_are_names() -> None:
    names = ["NA", "null", "nan", "None", "n/a"]
    text = "site_id,helper_site_id,weight\n" + "".join(f"{name},fra-01,1\n" for name in names)
    assert [site for site, _, _ in parse_failover("ours.csv", rows(text), [*names, "fra-01"]).rows] == names


def test_only_pairs_of_sites_that_are_planned_help() -> None:
    places = pd.DataFrame({"site_id": SITES, "lat": [50.1, 52.4, -23.5], "lon": [8.7, 4.9, -46.6]})
    table = parse_failover("ours.csv", rows(GOOD), SITES)
    assert failover_of(table, places, SITES).pull.tolist() == [[0, 2, 0.5], [0, 0, 0], [0, 0, 0]]
    assert failover_of(table, places, ["gru-01", "fra-01"]).pull.tolist() == [[0, 0], [0.5, 0]]
    assert (failover_of(None, places, SITES).pull == nearby(places, SITES).pull).all()
    assert (failover_rule(table), failover_rule(None)) == ("as ours.csv declares", "by distance and headroom")

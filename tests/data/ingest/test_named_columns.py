"""Tables that are no snapshots, in every dialect that snapshots may have, with columns that are found by their names."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.ingest.named_columns import find_column, named_frame, read_table
from data.schema.errors import SettingError

PLAIN = "site_id,gbps,most\nNA,1,9\nnull,2,\n"
SEMICOLONS = PLAIN.replace(",", ";")
DIALECTS = {
    "plain": PLAIN.encode(),
    "semicolon": SEMICOLONS.encode(),
    "tab": PLAIN.replace(",", "\t").encode(),
    "bar": PLAIN.replace(",", "|").encode(),
    "sep": f"sep=;\n{SEMICOLONS}".encode(),
    "gzip": gzip.compress(PLAIN.encode()),
    "utf-16": PLAIN.encode("utf-16"),
    "title": f"Steps on offer\n\n{PLAIN}".encode(),
    "names": PLAIN.replace("site_id", "Site ID").replace("gbps", "GBPS").encode(),
    "quoted": PLAIN.replace("NA", '"NA"').encode(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_rows(dialect: str, tmp_path: Path) -> None:
    (tmp_path / "steps").write_bytes(DIALECTS[dialect])
    for file in (DIALECTS[dialect], tmp_path / "steps"):
        frame = named_frame(read_table("steps", file), ["site_id", "gbps"], ["most", "direction"], "steps")
        assert frame.fillna("").to_dict("list") == {"site_id": ["NA", "null"], "gbps": ["1", "2"], "most": ["9", ""]}


def test_parquet_keeps_its_numbers_and_gives_names_as_text(tmp_path: Path) -> None:
    table = pa.table({"site_id": pa.array([101, 7]), "gbps": [1.5, None], "roles": pa.array([b"a", b"b"])})
    pq.write_table(table, tmp_path / "steps.csv")
    frame = named_frame(read_table("steps", tmp_path / "steps.csv"), ["site_id", "gbps", "roles"], [], "steps")
    assert frame["site_id"].tolist() == ["101", "7"]
    assert frame["gbps"].tolist()[0] == 1.5
    assert frame["roles"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"steps cannot be read: 0 bytes, where a Parquet or CSV file is needed"),
        ("site_id,gbps\n", "steps has no row"),
        ("site_id;most\na;1\n", "steps has no column gbps; it has site_id, most"),
        ("site_id,gbps\na,1\nb\nc,3\n", "Line 3 of steps is no row: b .needed: 2 fields, as the header has."),
        ("site_id,gbps,gbps\na,1,2\n", "In steps the column gbps stands twice: gbps, gbps"),
        ("site_id,Gbps,GBPS\na,1,2\n", "In steps the column gbps stands twice: Gbps, GBPS"),
    ],
)
def test_what_is_no_table_of_these_columns_says_why(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        named_frame(read_table("steps", text.encode()), ["site_id", "gbps"], [], "steps")


def test_a_column_of_parquet_that_stands_twice_is_named() -> None:
    buffer = io.BytesIO()
    pq.write_table(
        pa.table([pa.array(["a"]), pa.array([1.0]), pa.array([2.0])], names=["site_id", "gbps", "gbps"]), buffer
    )
    with pytest.raises(SettingError, match="the column gbps stands twice"):
        named_frame(read_table("steps", buffer.getvalue()), ["site_id", "gbps"], [], "steps")


def test_the_exact_name_and_the_first_alias_come_first() -> None:
    raw = read_table("steps", b"Y,y,value\n1,2,3\n")
    assert (find_column(raw, ["y"], "steps"), find_column(raw, ["value", "y"], "steps")) == ("y", "value")
    assert find_column(raw, ["z"], "steps") is None

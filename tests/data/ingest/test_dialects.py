"""Text files as tools write them: delimiters, lines before the header, quotation marks, encodings, and lines that are no rows."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ingest.file_reader import RawTable, RefusedError, column_names, read_columns, read_file
from data.schema.errors import SettingError

HEADER = "ts,site_id,ingest_gbps,egress_gbps"
ROWS = ("2026-03-02T00:00Z,a,1,10", "2026-03-02T00:05Z,b,1,11", "2026-03-02T00:10Z,c,1,12")
TEXT = "\n".join([HEADER, *ROWS, ""])


def read(text: str, encoding: str = "utf-8") -> RawTable:
    return read_columns(text.encode(encoding))


def sites_of(table: RawTable) -> list[str | None]:
    sites: list[str | None] = table.table["site_id"].to_pylist()
    return sites


@pytest.mark.parametrize(
    ("before", "delimiter", "note"),
    [
        ("", ",", ""),
        ("sep=;\r\n", ";", ""),
        ('"sep=|"\n', "|", ""),
        ("\ufeffsep=,\r\n", ",", ""),
        ("\n\n", "\t", ""),
        ("Traffic report\n", ",", "line 1 stands before the header, and is left out: Traffic report"),
        ("Traffic report,,,\n\nMay, 2026\n", ",", "lines 1 to 3 stand before the header, and are left out"),
        ("Device,a\nIn, out, and all\n1, 2, 3, 4, 5, 6, all of March\n", ",", "lines 1 to 3 stand before the header"),
        ("# made by a tool, version 2\n# 2026-03-02\n", ",", "lines 1 to 2 stand before the header"),
    ],
)
def test_what_stands_before_the_header_is_left_out_and_said(before: str, delimiter: str, note: str) -> None:
    table = read(before + TEXT.replace(",", delimiter))
    assert (table.table.column_names, sites_of(table), table.bad_lines) == (HEADER.split(","), ["a", "b", "c"], ())
    assert len(table.notes) == bool(note)
    assert note in "".join(table.notes)


def test_a_header_in_a_comment_is_a_header() -> None:
    assert sites_of(read("# a tool\n" + "# " + TEXT)) == ["a", "b", "c"]


def test_a_decimal_comma_is_no_delimiter() -> None:
    table = read("ts;site_id;egress_gbps\n2026-03-02T00:00Z;a;1,5\n2026-03-02T00:05Z;b;2,5\n")
    assert table.table["egress_gbps"].to_pylist() == ["1,5", "2,5"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_of_marked_encodings_is_read(encoding: str) -> None:
    table = read(TEXT.replace(",b,", ",Zürich,"), encoding)
    assert sites_of(table) == ["a", "Zürich", "c"]
    assert bool(table.notes) == (encoding[4] != "8")
    assert column_names(io.BytesIO(TEXT.encode(encoding))) == HEADER.split(",")


def test_other_bytes_spoil_their_line_alone_and_a_declared_encoding_reads_them() -> None:
    data = TEXT.replace(",b,", ",Zürich,").encode("windows-1252")
    table = read_columns(data)
    assert sites_of(table) == ["a", "c"]
    [line] = table.bad_lines
    assert (line.line, line.text) == (3, r"2026-03-02T00:05Z,Z\xfcrich,1,11")
    assert "the byte 0xFC at place 20" in line.cause
    assert "--encoding windows-1252" in line.remedy
    assert sites_of(read_columns(data, encoding="windows-1252")) == ["a", "Zürich", "c"]
    assert read_columns(data, ["ts", "ingest_gbps"]).table.num_rows == 3  # the column is not asked for


@pytest.mark.parametrize(
    ("odd", "line", "cause"),
    [
        ("Cannot retrieve configuration: timed out", 3, "the line has 1: it is a message or a sum among the rows"),
        ("2026-03-02T00:05Z,b,1", 3, "the line has 3"),
        ("2026-03-02T00:05Z,Berlin, DE,1,2", 3, "the line has 5: a field that is not quoted holds the delimiter ','"),
        ('2026-03-02T00:05Z,"b,1,2', 3, "a quotation mark at the beginning of a field is closed nowhere"),
        ('2026-03-02T00:05Z,"b,1,2\n2026-03-02T00:05Z,b",1,2', 3, "closed nowhere, or in another row"),
    ],
)
@pytest.mark.parametrize("quote", ["", '"x"'])
def test_a_line_that_is_no_row_is_set_aside_with_its_number(odd: str, line: int, cause: str, quote: str) -> None:
    table = read("\n".join([HEADER, ROWS[0] + quote, odd, "", *ROWS[1:], ""]))
    assert [site for site in sites_of(table) if site != 'b"'] == ["a", "b", "c"]
    assert (table.bad_lines[0].line, table.bad_lines[0].text) == (line, odd.splitlines()[0])
    assert cause in table.bad_lines[0].cause
    assert table.rows == 4 + odd.count("\n")


def test_empty_fields_too_many_at_the_end_of_lines_are_left_out() -> None:
    table = read(TEXT.replace("\n", ",\n").replace("gbps,\n", "gbps\n"))
    assert (sites_of(table), table.bad_lines) == (["a", "b", "c"], ())
    assert table.notes == ("3 rows end in an empty field too many, which is left out",)
    nameless = read(f"{HEADER},,\n{ROWS[0]},,\n{ROWS[1]}\n")
    assert (sites_of(nameless), nameless.bad_lines) == (["a", "b"], ())


def test_a_quotation_mark_that_the_file_ends_before_closing_spoils_its_line() -> None:
    table = read(TEXT + '2026-03-02T00:15Z,"d,1,2')
    assert (sites_of(table), [line.line for line in table.bad_lines]) == (["a", "b", "c"], [5])
    closed = read('site_id,note\na,"b"\nc,"d\n')
    assert (sites_of(closed), closed.bad_lines[0].text) == (["a"], 'c,"d')


def test_a_few_odd_characters_are_text_still() -> None:
    assert sites_of(read("site_id,note\na,1\x0b\n")) == ["a"]
    with pytest.raises(RefusedError, match="a JSON document"):
        read('[\n {"ts": 1}\n]')


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", [False, True])
def test_line_breaks_and_delimiters_in_quoted_fields_are_theirs(end: str, packed: bool) -> None:
    note = '"' + 'seen, by ""NOC""\n' * 12 + '"'
    lines = [f'{HEADER},"note\nof 2026"', *(f"{ROWS[row % 3]},{note.replace(chr(10), end)}" for row in range(9000)), ""]
    data = end.join(lines).encode()
    table = read_columns(gzip.compress(data, mtime=0) if packed else data)
    assert (table.table.num_rows, table.bad_lines) == (9000, ())
    assert table.table["note\nof 2026"][8999].as_py().count('"NOC"') == 12


def test_names_may_stand_twice_and_none_need_be_asked_for() -> None:
    assert read("y,ts,y\n1,2,3\n").table.column_names == ["y", "ts", "y"]
    assert read_columns(b"y,ts\n1,2\n3,4\n", []).table.num_rows == 2


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "any.name").write_text(TEXT)
    assert sites_of(read_file(tmp_path / "any.name", ["site_id"])) == ["a", "b", "c"]
    with pytest.raises(SettingError, match=r"nowhere.csv: no such file or folder"):
        read_file(tmp_path / "nowhere.csv")


fields = st.text(st.sampled_from('ab"\n\r,;# é'), max_size=6)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(fields, fields, fields), max_size=8), st.sampled_from(",;\t|"))
def test_whatever_csv_holds_is_read_as_it_was_written(rows: list[tuple[str, ...]], delimiter: str) -> None:
    """Every row comes back, or lines that look like rows of their own are set aside."""
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("first", "second", "third"), *rows])
    table = read(written.getvalue())
    if not table.bad_lines:
        found = [tuple(row[name] or "" for name in table.table.column_names) for row in table.table.to_pylist()]
        assert found == rows


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200))
def test_no_line_of_a_text_is_lost(noise: bytes) -> None:
    """Without quotation marks, every line that is not empty is a row, or set aside."""
    body = noise.replace(b'"', b"'")
    lines = [line for line in body.replace(b"\r", b"\n").split(b"\n") if line.strip(b" ")]
    with contextlib.suppress(RefusedError):  # control characters: no text
        assert read_columns(b"first,second\n1,2\n" + body).rows == 1 + len(lines)

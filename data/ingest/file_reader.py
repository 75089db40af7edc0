"""From the bytes of a file to columns of values: Parquet or CSV (plain or gzip), text to numbers and stamps.

CSV comes out as text in every column, because only the contract knows what each is. A file that cannot be read is
refused with a reason (RefusedError); a value that cannot be read is a fault of its row, never a guess.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from data.ingest.sources import PARQUET, TEXTS
from data.schema import REAL, STAMP, TEXT_LIMIT, Column
from data.schema.errors import SettingError, SnapshotError
from data.schema.validation import Fault, excerpt, first_value

MAGIC, GZIP = b"PAR1", b"\x1f\x8b"
# The last bytes of a Parquet file: the length of its footer, and the magic bytes.
PARQUET_TAIL = 8
DELIMITERS = (",", ";", "\t", "|")
# A header longer than this is no header: columns of the contract fit a few hundred times.
HEADER_LIMIT = 1_000_000
HEADER_CHUNK = 64 * 1024
# What gzip may unpack to: a table of text takes its own size in memory, and gzip packs nothing up to 1,032 times. 4 GiB
# are eight months of 500 sites at five minutes. A day of telemetry as CSV shrinks 9 times, one of zeros 27 times; a small
# file may shrink by more, and does no harm.
UNPACKED_LIMIT = 4 * 1024**3
UNPACKED_FACTOR, UNPACKED_ALWAYS = 200, 64 * 1024**2
UNPACKED_CHUNK = 4 * 1024**2
# A line ends in LF, in CR LF, or in CR alone, as some spreadsheets write it.
LINE_END = re.compile(rb"[\r\n]")
# What the readers of CSV, gzip and Parquet raise where the content is not what it should be. Arrow's own readers raise
# plain ValueError (UnicodeDecodeError) and OverflowError too: names that are not UTF-8, sizes beyond the file.
READ_FAULTS = (pa.ArrowException, csv.Error, zlib.error, OSError, EOFError, ValueError, OverflowError)
SIMULATED = "simulator:"
EXPORT_AGAIN = "export it again, under a temporary name that is changed when the file is whole"


class RefusedError(SnapshotError):
    """A snapshot that cannot be taken in as a whole, for the reasons that `faults` state."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(" ".join(map(str, faults)))
        self.faults = list(faults)


def file_refusal(value: str, bound: str, cause: str, remedy: str, *, column: str = "", count: int = 0) -> RefusedError:
    """A refusal of the whole file."""
    return RefusedError([Fault("file", column, value, bound, count, cause, remedy)])


@dataclass(frozen=True, slots=True)
class RawTable:
    """Columns of a snapshot as the producer wrote them; `textual` where everything is text still; `origin` is the
    simulator's mark.
    """

    table: pa.Table
    textual: bool
    origin: str = ""


def column_names(file: BinaryIO, name: str) -> list[str]:
    """Names of the columns, from the footer or the first line alone; raises RefusedError where there are none to be
    had.
    """
    if _is_parquet(file, name):
        try:
            return list(pq.ParquetFile(pa.BufferReader(_footer(file))).schema_arrow.names)
        except READ_FAULTS as error:
            raise _damaged_refusal(error) from error
    return _header(file)[0]


def read_columns(data: bytes, name: str, columns: Sequence[str]) -> RawTable:
    """The named columns of a snapshot; raises RefusedError where the content is damaged."""
    file = io.BytesIO(data)
    try:
        if _is_parquet(file, name):
            parquet = pq.ParquetFile(pa.BufferReader(_in_arrow(data)))
            table = parquet.read(columns=list(columns)).replace_schema_metadata()
            table.validate(full=True)  # text that is not UTF-8 is found here, and not when a message quotes it
            return RawTable(table, textual=False, origin=_origin(parquet.schema_arrow.metadata))
        return RawTable(_read_text(data, *_header(file), columns), textual=True)
    except READ_FAULTS as error:
        raise _damaged_refusal(error) from error


def _origin(metadata: dict[bytes, bytes] | None) -> str:
    """The simulator's own mark, where a snapshot bears it: what is simulated stays so wherever it is carried."""
    mark = (metadata or {}).get(b"source", b"").decode(errors="replace")
    return mark[:TEXT_LIMIT] if mark.startswith(SIMULATED) and mark.isprintable() else ""


def _is_parquet(file: BinaryIO, name: str) -> bool:
    """Whether the file is whole Parquet; raises RefusedError for one that is neither that nor, by its name, text."""
    size = file.seek(0, io.SEEK_END)
    if not size:
        raise file_refusal("0 bytes", "a Parquet or CSV file", "the export was cut off, or has not begun", EXPORT_AGAIN)
    first = _four_bytes(file, 0)
    if first == MAGIC:
        if size < 12 or _four_bytes(file, size - 4) != MAGIC:
            raise file_refusal(
                f"{size} bytes without a footer",
                "a whole Parquet file, which ends in PAR1",
                "the export or the copy was cut off",
                EXPORT_AGAIN,
            )
        return True
    if name.lower().endswith(TEXTS):
        return False
    named = name.lower().endswith(PARQUET)
    raise file_refusal(
        f"first bytes {first!r}",
        f"{MAGIC!r}, as Parquet begins" if named else "a Parquet file, or a name that ends in .csv, .tsv or .csv.gz",
        "the file is of another kind, or damaged",
        "export Parquet or CSV, and name the file so",
    )


def _four_bytes(file: BinaryIO, offset: int) -> bytes:
    file.seek(offset)
    data = file.read(4)
    file.seek(0)
    return data


def _header(file: BinaryIO) -> tuple[list[str], str]:
    """Column names of a text file, and its delimiter."""
    first = _four_bytes(file, 0)
    try:
        line = _first_line(_unpacked(file, first)).decode("utf-8-sig")
        delimiter = max(DELIMITERS, key=line.count)
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise file_refusal(
            f"a first line of {len(line):,} characters: {error}",
            "a first line that names the columns",
            "the export has no header, or its first column holds a document",
            "export CSV with a header",
        ) from error
    except READ_FAULTS as error:
        raise file_refusal(
            f"first bytes {first!r}",
            "text in UTF-8",
            "the file is of another kind or encoding, or damaged",
            "export CSV in UTF-8",
        ) from error
    if not any(names):
        raise file_refusal(
            "an empty first line",
            "a first line that names the columns",
            "the export has no header",
            "export CSV with a header",
        )
    return names, delimiter


def _first_line(file: IO[bytes]) -> bytes:
    """The bytes before the first line end; raises RefusedError where there is none within `HEADER_LIMIT`."""
    line = b""
    while chunk := file.read(HEADER_CHUNK):
        line += chunk
        end = LINE_END.search(line)
        if end:
            return line[: end.start()]
        if len(line) > HEADER_LIMIT:
            raise file_refusal(
                f"no line end within {len(line):,} bytes",
                f"a first line of at most {HEADER_LIMIT:,} bytes that names the columns",
                "the file is of another kind, or was written in one line",
                "export CSV with a header and a line for each row",
            )
    return line


def _unpacked(file: BinaryIO, first: bytes) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if first.startswith(GZIP) else file


def _footer(file: BinaryIO) -> pa.Buffer:
    """The footer of a Parquet file, as a file of its own in memory that Arrow owns (see `_in_arrow`)."""
    size = file.seek(0, io.SEEK_END)
    file.seek(size - PARQUET_TAIL)
    length = int.from_bytes(file.read(4), "little")
    file.seek(max(0, size - PARQUET_TAIL - length))
    return _in_arrow(MAGIC + file.read())


def _in_arrow(data: bytes) -> pa.Buffer:
    """A copy in memory that Arrow owns. Its threads let go of what they read after the read has returned: of Python's
    bytes only with the interpreter's lock, and a thread that asks for it when the interpreter ends aborts the process
    ("terminate called without an active exception", in 2 of 18 short-lived processes on a busy machine).
    """
    buffer = pa.allocate_buffer(len(data))
    np.frombuffer(buffer, np.uint8)[:] = np.frombuffer(data, np.uint8)
    return buffer


def _read_text(data: bytes, names: list[str], delimiter: str, columns: Sequence[str]) -> pa.Table:
    content = _in_arrow(data)
    packed = data.startswith(GZIP)
    if packed:
        _refuse_gzip_bomb(content)
    return pacsv.read_csv(
        pa.CompressedInputStream(pa.BufferReader(content), "gzip") if packed else pa.BufferReader(content),
        read_options=pacsv.ReadOptions(column_names=names, skip_rows=1),
        parse_options=pacsv.ParseOptions(delimiter=delimiter),
        # Only an empty field is missing: NA is Namibia, and a site may be called null.
        convert_options=pacsv.ConvertOptions(
            include_columns=list(columns),
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _refuse_gzip_bomb(content: pa.Buffer) -> None:
    """Unpack gzip piece by piece, keeping none of it; raises RefusedError where it unpacks to more than its bound."""
    bound = min(UNPACKED_LIMIT, max(UNPACKED_ALWAYS, UNPACKED_FACTOR * content.size))
    unpacked = 0
    with pa.CompressedInputStream(pa.BufferReader(content), "gzip") as stream:
        while chunk := stream.read(UNPACKED_CHUNK):
            unpacked += len(chunk)
            if unpacked > bound:
                raise file_refusal(
                    f"{content.size:,} bytes of gzip that unpack to more than {bound:,}",
                    f"at most {UNPACKED_FACTOR} times the packed size (or {UNPACKED_ALWAYS:,} bytes), and {UNPACKED_LIMIT:,} bytes",
                    "the file is damaged, was made to fill the memory, or holds too long a time",
                    "export CSV of shorter spans, or Parquet",
                )


def _damaged_refusal(error: Exception) -> RefusedError:
    return file_refusal(
        excerpt(str(error).splitlines()[0] if str(error) else type(error).__name__),
        "content that can be read",
        "the file is damaged, or was cut off",
        EXPORT_AGAIN,
    )


# Text to values ------------------------------------------------------------------------------------------------------

# What exporters write into a column of numbers for "missing".
MISSING_WORDS = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
# A date, then perhaps a time, then perhaps a zone. A number is no stamp: nobody can tell seconds from microseconds.
ZONE = r" ?(Z|UTC|[+-]\d{2}:?\d{2})$"
STAMP_SHAPE = rf"^\d{{4}}-\d{{2}}-\d{{2}}([T ]\d{{2}}:\d{{2}}(:\d{{2}}([.]\d{{1,9}})?)?({ZONE[:-1]})?)?$"
LABELLED = rf":\d{{2}}([.]\d+)?{ZONE}"
NAIVE = pa.timestamp("us")

MaskedFault = tuple[pa.BooleanArray, Fault]


def parse_numbers(column: Column, values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, list[MaskedFault]]:
    """Text as float64, null where missing; and the rows whose text is no number."""
    try:
        numbers = values.cast(REAL)
        return pc.if_else(pc.is_nan(numbers), None, numbers), []
    except pa.ArrowInvalid:
        text = values.to_pandas().str.strip()
    parsed = pd.to_numeric(text, errors="coerce")
    missing = text.isna() | text.str.lower().isin(MISSING_WORDS)
    hits = _masked_faults(
        column,
        values,
        parsed.isna() & ~missing,
        "a number, with a point for decimals",
        "another format, or a unit written behind the number",
        "export plain numbers",
    )
    return pa.chunked_array([pa.array(parsed, REAL, from_pandas=True)]), list(hits)


def parse_stamps(
    column: Column, values: pa.ChunkedArray, zone: str | None
) -> tuple[pa.ChunkedArray, list[MaskedFault]]:
    """Text in ISO 8601 as UTC stamps, those without a zone read in `zone`; and the rows whose text is no stamp.

    Raises RefusedError where a stamp names no zone and none is given.
    """
    text = pc.utf8_trim_whitespace(values)
    labelled = pc.fill_null(pc.match_substring_regex(text, LABELLED), False)
    naive = pc.and_(pc.is_valid(text), pc.invert(labelled))
    utc = _parse_iso(pc.if_else(labelled, text, None)).cast(STAMP)
    local = _parse_iso(pc.if_else(naive, text, None))
    if zone is None and local.null_count < len(local):
        raise unzoned_refusal(column, excerpt(local.drop_null()[0].as_py()), pc.sum(pc.is_valid(local)).as_py())
    moved, hits = localize_stamps(column, local, zone or "UTC")
    parsed = pc.coalesce(utc, moved)
    unread = pc.and_(pc.is_valid(text), pc.and_(pc.is_null(utc), pc.is_null(local)))
    hits += _masked_faults(
        column,
        values,
        unread,
        "a stamp such as 2026-01-31T23:55:00Z",
        "another format, or no such day",
        "write stamps in ISO 8601, with their zone",
    )
    return parsed, hits


def localize_stamps(column: Column, values: pa.ChunkedArray, zone: str) -> tuple[pa.ChunkedArray, list[MaskedFault]]:
    """Local stamps as UTC; and the rows in the hour that summer time repeats or leaves out, whose moment nobody can
    tell.
    """
    early = pc.assume_timezone(values, zone, ambiguous="earliest", nonexistent="earliest").cast(STAMP)
    late = pc.assume_timezone(values, zone, ambiguous="latest", nonexistent="latest").cast(STAMP)
    unclear = pc.fill_null(pc.not_equal(early, late), False)
    cause = "the clocks changed in that hour, so that it came twice or not at all"
    return early, list(
        _masked_faults(column, values, unclear, f"a time that came once in {zone}", cause, "export the stamps in UTC")
    )


def unzoned_refusal(column: Column, value: str, count: int) -> RefusedError:
    """The refusal of stamps without a zone, in the words of the contract's own check."""
    return file_refusal(
        f"{value} (no time zone)",
        str(column.type),
        "the producer wrote local or unlabelled times",
        "say which zone they are in with --timezone, for instance --timezone UTC",
        column=column.name,
        count=count,
    )


def parse_constant(column: Column, text: str, zone: str | None) -> pa.Scalar:
    """The text as a value of the column; raises SettingError where it is none."""
    values = pa.chunked_array([pa.array([text], pa.string())])
    hits: list[MaskedFault] = []
    try:
        if pa.types.is_timestamp(column.type):
            values, hits = parse_stamps(column, values, zone)
        elif column.type == REAL:
            values, hits = parse_numbers(column, values)
    except RefusedError as error:
        hits = [(pa.array([True]), error.faults[0])]
    if hits:
        raise SettingError(
            f"--constant {column.name}={text}: the contract wants {hits[0][1].bound}.",
            cause="a misspelling",
            remedy=hits[0][1].remedy,
        )
    return values[0]


def _parse_iso(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Stamps as pandas reads ISO 8601, in UTC but not labelled; null for all that is not of that form."""
    plain = pc.replace_substring_regex(pc.replace_substring_regex(text, r" ?UTC$", "Z"), r" ([Z+-])", r"\1")
    shaped = pc.if_else(pc.match_substring_regex(text, STAMP_SHAPE), plain, None)
    parsed = pd.to_datetime(shaped.to_pandas(), format="ISO8601", utc=True, errors="coerce").dt.as_unit("us")
    return pa.chunked_array([pa.array(parsed, STAMP, from_pandas=True)]).cast(NAIVE)


def _masked_faults(
    column: Column, values: pa.ChunkedArray, mask: object, bound: str, cause: str, remedy: str
) -> Iterator[MaskedFault]:
    """The mask and its fault, where at least one row is hit."""
    hit = pa.array(mask, pa.bool_()) if not isinstance(mask, pa.ChunkedArray) else mask.combine_chunks()
    count = pc.sum(hit).as_py() or 0
    if count:
        yield hit, Fault("rows", column.name, first_value(values.filter(hit)), bound, count, cause, remedy)

"""The content of one snapshot, Parquet or CSV, told apart by its first bytes and its name.

CSV comes out as text in every column, because only the contract knows what each is. What cannot be read is refused with
a fault.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from data.ingest.sources import PARQUET, TEXTS
from data.schema import TEXT_LIMIT
from data.schema.errors import SnapshotError
from data.schema.validation import Fault, excerpt

MAGIC, GZIP = b"PAR1", b"\x1f\x8b"
DELIMITERS = (",", ";", "\t", "|")
# A header longer than this is no header: columns of the contract fit a few hundred times.
HEADER_LIMIT = 1_000_000
HEADER_CHUNK = 64 * 1024
# A line ends in LF, in CR LF, or in CR alone, as some spreadsheets write it.
LINE_END = re.compile(rb"[\r\n]")
# What the readers of CSV, gzip and Parquet raise where the content is not what it should be. Arrow's own readers raise
# plain ValueError (UnicodeDecodeError) and OverflowError too: names that are not UTF-8, sizes beyond the file.
READ_FAULTS = (pa.ArrowException, csv.Error, zlib.error, OSError, EOFError, ValueError, OverflowError)
SIMULATED = "simulator:"
AGAIN = "export it again, under a temporary name that is changed when the file is whole"


class RefusedError(SnapshotError):
    """A snapshot that cannot be taken in as a whole, for the reasons that `faults` state."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(" ".join(map(str, faults)))
        self.faults = list(faults)


def refused(value: str, bound: str, cause: str, remedy: str, *, column: str = "", count: int = 0) -> RefusedError:
    """A refusal of the whole file."""
    return RefusedError([Fault("file", column, value, bound, count, cause, remedy)])


@dataclass(frozen=True, slots=True)
class Frame:
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
            return list(pq.ParquetFile(file).schema_arrow.names)
        except READ_FAULTS as error:
            raise _damaged(error) from error
    return _header(file)[0]


def load(data: bytes, name: str, columns: Sequence[str]) -> Frame:
    """The named columns of a snapshot; raises RefusedError where the content is damaged."""
    file = io.BytesIO(data)
    try:
        if _is_parquet(file, name):
            found = pq.ParquetFile(pa.BufferReader(data))
            table = found.read(columns=list(columns)).replace_schema_metadata()
            table.validate(full=True)  # text that is not UTF-8 is found here, and not when a message quotes it
            return Frame(table, textual=False, origin=_origin(found.schema_arrow.metadata))
        return Frame(_read_text(data, *_header(file), columns), textual=True)
    except READ_FAULTS as error:
        raise _damaged(error) from error


def _origin(metadata: dict[bytes, bytes] | None) -> str:
    """The simulator's own mark, where a snapshot bears it: what is simulated stays so wherever it is carried."""
    found = (metadata or {}).get(b"source", b"").decode(errors="replace")
    return found[:TEXT_LIMIT] if found.startswith(SIMULATED) and found.isprintable() else ""


def _is_parquet(file: BinaryIO, name: str) -> bool:
    """Whether the file is whole Parquet; raises RefusedError for one that is neither that nor, by its name, text."""
    size = file.seek(0, io.SEEK_END)
    if not size:
        raise refused("0 bytes", "a Parquet or CSV file", "the export was cut off, or has not begun", AGAIN)
    first = _at(file, 0)
    if first == MAGIC:
        if size < 12 or _at(file, size - 4) != MAGIC:
            raise refused(
                f"{size} bytes without a footer",
                "a whole Parquet file, which ends in PAR1",
                "the export or the copy was cut off",
                AGAIN,
            )
        return True
    if name.lower().endswith(TEXTS):
        return False
    named = name.lower().endswith(PARQUET)
    raise refused(
        f"first bytes {first!r}",
        f"{MAGIC!r}, as Parquet begins" if named else "a Parquet file, or a name that ends in .csv, .tsv or .csv.gz",
        "the file is of another kind, or damaged",
        "export Parquet or CSV, and name the file so",
    )


def _at(file: BinaryIO, offset: int) -> bytes:
    file.seek(offset)
    found = file.read(4)
    file.seek(0)
    return found


def _header(file: BinaryIO) -> tuple[list[str], str]:
    """Column names of a text file, and its delimiter."""
    first = _at(file, 0)
    try:
        line = _first_line(_unpacked(file, first)).decode("utf-8-sig")
        delimiter = max(DELIMITERS, key=line.count)
        names = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error as error:
        raise refused(
            f"a first line of {len(line):,} characters: {error}",
            "a first line that names the columns",
            "the export has no header, or its first column holds a document",
            "export CSV with a header",
        ) from error
    except READ_FAULTS as error:
        raise refused(
            f"first bytes {first!r}",
            "text in UTF-8",
            "the file is of another kind or encoding, or damaged",
            "export CSV in UTF-8",
        ) from error
    if not any(names):
        raise refused(
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
            raise refused(
                f"no line end within {len(line):,} bytes",
                f"a first line of at most {HEADER_LIMIT:,} bytes that names the columns",
                "the file is of another kind, or was written in one line",
                "export CSV with a header and a line for each row",
            )
    return line


def _unpacked(file: BinaryIO, first: bytes) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if first.startswith(GZIP) else file


def _read_text(data: bytes, names: list[str], delimiter: str, columns: Sequence[str]) -> pa.Table:
    raw: pa.NativeFile = pa.BufferReader(data)
    return pacsv.read_csv(
        pa.CompressedInputStream(raw, "gzip") if data.startswith(GZIP) else raw,
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


def _damaged(error: Exception) -> RefusedError:
    return refused(
        excerpt(str(error).splitlines()[0] if str(error) else type(error).__name__),
        "content that can be read",
        "the file is damaged, or was cut off",
        AGAIN,
    )

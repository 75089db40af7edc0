"""From a file to columns under its own names: Parquet, or delimited text (plain or gzip), whatever table it is for.

Text comes out as text in every column, because only the reader of a column knows what it is
(`data/ingest/parse_values.py`). A file that cannot be read is refused with a reason (RefusedError); a line that cannot be
read is set aside with its number and its text, and the others are read.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import itertools
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from data.ingest.sources import list_snapshots, read_bytes
from data.schema import TEXT_LIMIT
from data.schema.errors import SnapshotError
from data.schema.validation import Fault, excerpt

MAGIC, GZIP = b"PAR1", b"\x1f\x8b"
# The first bytes of files that are neither Parquet nor text, blanks left out, and what to do with each.
OTHER_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"PARE", "an encrypted Parquet file", "export it unencrypted"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old or an encrypted Excel workbook", "save the sheet as CSV"),
    (b"\x28\xb5\x2f\xfd", "a file packed with Zstandard", "unpack it, or pack it with gzip"),
    (b"BZh91AY&SY", "a file packed with bzip2", "unpack it, or pack it with gzip"),
    (b"\xfd7zXZ", "a file packed with xz", "unpack it, or pack it with gzip"),
    (b"ARROW1", "an Arrow file (Feather)", "export Parquet or CSV"),
    (b"Obj\x01", "an Avro file", "export Parquet or CSV"),
    (b"SQLiteformat3", "an SQLite database", "export the table as CSV"),
    (b"Salted__", "an encrypted file (OpenSSL)", "decrypt it"),
    (b"-----BEGINPGP", "an encrypted file (PGP)", "decrypt it"),
    (
        b"<",
        "a page or document of HTML or XML",
        "export CSV; a page that asks to log in is sent in place of a file too",
    ),
    (b"{", "a JSON document", "export Parquet or CSV"),
    (b"[{", "a JSON document", "export Parquet or CSV"),
)
# The last bytes of a Parquet file: the length of its footer, and the magic bytes.
PARQUET_TAIL = 8
DELIMITERS = (",", ";", "\t", "|")
# Excel's way to name the delimiter of a file that it opens, on a line of its own before the header.
EMPTY = '""'  # a field of nothing, where an empty line would be none
SEP_LINE = re.compile(r'^"?sep=([^\w\s"]|\t)"?[,;\t|]*$', re.IGNORECASE)
COMMENT = "#"
# A header longer than this is no header: columns of the contract fit a few hundred times.
HEADER_LIMIT = 1_000_000
HEADER_CHUNK = 64 * 1024
# Lines by which delimiter and header are told: titles and comments before a header are a dozen.
SAMPLE_LINES = 100
# What gzip may unpack to: a table of text takes its own size in memory, and gzip packs nothing up to 1,032 times. 4 GiB
# are eight months of 500 sites at five minutes. A day of telemetry as CSV shrinks 9 times, one of zeros 27 times; a small
# file may shrink by more, and does no harm.
UNPACKED_LIMIT = 4 * 1024**3
UNPACKED_FACTOR, UNPACKED_ALWAYS = 200, 64 * 1024**2
UNPACKED_CHUNK = 4 * 1024**2
# Arrow reads text block by block, and a line must fit one.
BLOCK = 1024**2
# A line ends in LF, in CR LF, or in CR alone, as some spreadsheets write it.
LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")
LINE_END = re.compile(rb"[\r\n]")
# A field that is no name of a column: a number, a date, a time.
VALUE = re.compile(
    r"""[\s"']*(?:[+-]?[.,]?\d[\d.,]*(?:e[+-]?\d+)?%?|\d{4}-\d\d-\d\d.{,30}|\d{8}T\d+.{,30}|\d+[/.:]\d+[/.:]\d+.{,30})[\s"']*\Z""",
    re.IGNORECASE,
)
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


class BadLine(NamedTuple):
    """A line of a text file that is no row: its number (the first line of the file is 1), its text, what is wrong with it,
    the likely cause and the remedy.
    """

    line: int
    text: str
    bound: str
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class RawTable:
    """Columns of a file as the producer wrote them, under the file's own names; a name may stand twice.

    Columns of a text file are text, null where a field is empty. `notes` are sentences on what was taken for granted
    (lines before the header, an encoding); `bad_lines` are not among the rows; `origin` is the simulator's mark.
    """

    table: pa.Table
    notes: tuple[str, ...] = ()
    bad_lines: tuple[BadLine, ...] = ()
    origin: str = ""

    @property
    def rows(self) -> int:
        """Rows of the file, those that could not be read included."""
        return int(self.table.num_rows) + len(self.bad_lines)


Partitions = Sequence[tuple[str, str | None]]


def read_file(
    path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    encoding: str | None = None,
    version: int | None = None,
) -> RawTable:
    """The named columns (all, where none are named) of a file, or of all files of a folder with the columns that stand in
    the names of its folders; of a Delta table those of its newest version, or of `version`.

    Raises SettingError where there is no such file, RefusedError where it cannot be read.
    """
    listing = list_snapshots([str(path)], version=version)
    if not listing.sources:
        raise file_refusal(
            f"a folder of {len(listing.passed_over)} other files",
            "a Parquet or CSV file in it",
            "the files have other names, or lie elsewhere",
            "name the file itself",
        )
    tables = []
    for source in listing.sources:
        table = read_columns(read_bytes(source), columns, encoding=encoding, partitions=source.partitions)
        inside = f"{source.name}: " if len(listing.sources) > 1 else ""
        bad_lines = tuple(line._replace(text=f"{inside}{line.text}") for line in table.bad_lines)
        notes = tuple(f"{inside}{note}" for note in table.notes)
        tables.append(RawTable(table.table, notes, bad_lines, table.origin))
    return tables[0] if len(tables) == 1 else _joined(tables)


def _joined(tables: Sequence[RawTable]) -> RawTable:
    """The rows of several files as one table, whose columns are those of all."""
    try:
        rows = pa.concat_tables([table.table for table in tables], promote_options="permissive")
    except pa.ArrowException as error:
        raise file_refusal(
            excerpt(str(error).splitlines()[0]),
            "files with the same columns in one folder",
            "files of several kinds lie in the folder",
            "name the files of one kind",
        ) from error
    return RawTable(
        rows,
        tuple(note for table in tables for note in table.notes),
        tuple(line for table in tables for line in table.bad_lines),
        next((table.origin for table in tables if table.origin), ""),
    )


def read_columns(
    data: bytes, columns: Sequence[str] | None = None, *, encoding: str | None = None, partitions: Partitions = ()
) -> RawTable:
    """The named columns of a file's bytes (all, where none are named), and those of `partitions` that the file has not
    itself; raises RefusedError where the content is damaged.

    `encoding` is that of text without a mark of its own, as Python calls it; without it that is UTF-8, or UTF-16 where
    every second byte is 0.
    """
    try:
        if data.startswith(GZIP):
            data = _unpack(data)
        is_parquet = _is_parquet(io.BytesIO(data))
        raw = _read_parquet(data, columns) if is_parquet else _read_text(data, columns, encoding)
    except READ_FAULTS as error:
        raise _damaged_refusal(error) from error
    table = raw.table
    for name, value in partitions:
        if name not in table.column_names and (columns is None or name in columns):
            table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), table.num_rows))
    return replace(raw, table=table)


def column_names(file: BinaryIO, encoding: str | None = None, partitions: Partitions = ()) -> list[str]:
    """Names of the columns, from the footer or the first lines alone, then those of `partitions`; raises RefusedError where
    there are none to be had.
    """
    try:
        names = _own_names(file, encoding)
    except READ_FAULTS as error:
        raise _damaged_refusal(error) from error
    return [*names, *(name for name, _ in partitions if name not in names)]


def _own_names(file: BinaryIO, encoding: str | None) -> list[str]:
    if _first_bytes(file).startswith(GZIP):
        head = _head(cast("IO[bytes]", gzip.GzipFile(fileobj=file)))
        if head.startswith(MAGIC):
            file.seek(0)
            return _own_names(io.BytesIO(_unpack(file.read())), encoding)
        file = io.BytesIO(head)
    if _is_parquet(file):
        return list(pq.ParquetFile(pa.BufferReader(_footer(file))).schema_arrow.names)
    return list(_layout(_decoded(_head(file), encoding)[0]).names)


# Kinds of files -----------------------------------------------------------------------------------------------------


def _is_parquet(file: BinaryIO) -> bool:
    """Whether the file is whole Parquet, and not text; raises RefusedError for a known file that is neither."""
    size = file.seek(0, io.SEEK_END)
    if not size:
        raise file_refusal("0 bytes", "a Parquet or CSV file", "the export was cut off, or has not begun", EXPORT_AGAIN)
    first = _first_bytes(file)
    if first.startswith(MAGIC):
        file.seek(max(0, size - 4))
        last = file.read(4)
        file.seek(0)
        if size < 12 or last != MAGIC:
            raise file_refusal(
                f"{size} bytes without a footer",
                "a whole Parquet file, which ends in PAR1",
                "the export or the copy was cut off",
                EXPORT_AGAIN,
            )
        return True
    for mark, kind, remedy in OTHER_KINDS:
        if b"".join(first.split()).startswith(mark):
            raise file_refusal(
                f"{kind} (first bytes {first[:8]!r})", "a Parquet or CSV file", "another kind of file was sent", remedy
            )
    return False


def _first_bytes(file: BinaryIO) -> bytes:
    file.seek(0)
    data = file.read(32)
    file.seek(0)
    return data


def _unpack(data: bytes) -> bytes:
    """What a gzip file holds; raises RefusedError where it unpacks to more than its bound."""
    bound = min(UNPACKED_LIMIT, max(UNPACKED_ALWAYS, UNPACKED_FACTOR * len(data)))
    pieces, unpacked = [], 0
    with pa.CompressedInputStream(pa.BufferReader(_in_arrow(data)), "gzip") as stream:
        while chunk := stream.read(UNPACKED_CHUNK):
            unpacked += len(chunk)
            if unpacked > bound:
                raise file_refusal(
                    f"{len(data):,} bytes of gzip that unpack to more than {bound:,}",
                    f"at most {UNPACKED_FACTOR} times the packed size (or {UNPACKED_ALWAYS:,} bytes), and {UNPACKED_LIMIT:,} bytes",
                    "the file is damaged, was made to fill the memory, or holds too long a time",
                    "export CSV of shorter spans, or Parquet",
                )
            pieces.append(chunk)
    return b"".join(pieces)


def _in_arrow(data: bytes | memoryview) -> pa.Buffer:
    """A copy in memory that Arrow owns. Its threads let go of what they read after the read has returned: of Python's
    bytes only with the interpreter's lock, and a thread that asks for it when the interpreter ends aborts the process
    ("terminate called without an active exception", in 2 of 18 short-lived processes on a busy machine).
    """
    buffer = pa.allocate_buffer(len(data))
    np.frombuffer(buffer, np.uint8)[:] = np.frombuffer(data, np.uint8)
    return buffer


def _damaged_refusal(error: Exception) -> RefusedError:
    told = str(error).splitlines()[0] if str(error) else type(error).__name__
    if re.search("encrypt|decrypt", told, re.IGNORECASE):
        return file_refusal(
            "an encrypted Parquet file", "a file that can be read without a key", excerpt(told), "export it unencrypted"
        )
    return file_refusal(excerpt(told), "content that can be read", "the file is damaged, or was cut off", EXPORT_AGAIN)


# Parquet ------------------------------------------------------------------------------------------------------------


def _read_parquet(data: bytes, columns: Sequence[str] | None) -> RawTable:
    # INT96, the stamps of old Spark and Impala, in microseconds: as nanoseconds they wrap round outside 1677 to 2262.
    parquet = pq.ParquetFile(pa.BufferReader(_in_arrow(data)), coerce_int96_timestamp_unit="us")
    table = parquet.read(columns=None if columns is None else list(columns)).replace_schema_metadata()
    return RawTable(_with_text_checked(table), origin=_origin(parquet.schema_arrow.metadata))


def _with_text_checked(table: pa.Table) -> pa.Table:
    """The table, text that is not UTF-8 as bytes: it is found here, and not when a message quotes it."""
    for place, (name, values) in enumerate(zip(table.column_names, table.columns, strict=True)):
        try:
            values.validate(full=True)
        except pa.ArrowInvalid:
            if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
                raise
            raw = values.cast(pa.binary() if pa.types.is_string(values.type) else pa.large_binary())
            raw.validate(full=True)
            table = table.set_column(place, name, raw)
    return table


def _origin(metadata: dict[bytes, bytes] | None) -> str:
    """The simulator's own mark, where a snapshot bears it: what is simulated stays so wherever it is carried."""
    mark = (metadata or {}).get(b"source", b"").decode(errors="replace")
    return mark[:TEXT_LIMIT] if mark.startswith(SIMULATED) and mark.isprintable() else ""


def _footer(file: BinaryIO) -> pa.Buffer:
    """The footer of a Parquet file, as a file of its own in memory that Arrow owns (see `_in_arrow`)."""
    size = file.seek(0, io.SEEK_END)
    file.seek(size - PARQUET_TAIL)
    length = int.from_bytes(file.read(4), "little")
    file.seek(max(0, size - PARQUET_TAIL - length))
    return _in_arrow(MAGIC + file.read())


# Text: its encoding --------------------------------------------------------------------------------------------------

# Marks of an encoding at the beginning of a file; UTF-32 before UTF-16, whose mark it begins with.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Every second byte of Latin text in UTF-16 is 0; in text of other encodings none is.
NULS_OF_UTF16 = 0.4
# A file of which more is control characters, and not only a few of them, is no text.
MOST_CONTROLS, FEW_CONTROLS = 0.05, 8
CONTROLS = bytes({*range(32), 127} - {9, 10, 12, 13, 27})
NOT_UTF8 = b"\xff"


def _decoded(data: bytes, encoding: str | None) -> tuple[bytes, list[str]]:
    """The text in UTF-8 without a byte order mark, and notes; what cannot be decoded is a byte that UTF-8 never has.

    Raises RefusedError where it is no text.
    """
    marked = next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), None)
    found = marked or encoding or _utf16(data[:512])
    if found is None or codecs.lookup(found).name == "utf-8":
        data, notes = data.removeprefix(codecs.BOM_UTF8), []
    else:
        text = data.decode(found, errors="replace").removeprefix("\ufeff")
        data = text.encode("utf-8", errors="replace").replace("\ufffd".encode(), NOT_UTF8)
        notes = [] if found == encoding else [f"the text is in {found.upper()}, and was read as such"]
    first = data[:HEADER_CHUNK]
    if len(first) - len(first.translate(None, CONTROLS)) > max(FEW_CONTROLS, MOST_CONTROLS * len(first)):
        raise file_refusal(
            f"first bytes {first[:8]!r}",
            "a Parquet file, which begins with PAR1, or text in UTF-8",
            "the file is of another kind or encoding, or damaged",
            "export Parquet, or CSV in UTF-8, or name the encoding with --encoding",
        )
    return data, notes


def _utf16(first: bytes) -> str | None:
    """The encoding of text in UTF-16 without a mark."""
    for skipped, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(first) >= 4 and first[skipped::2].count(0) > NULS_OF_UTF16 * len(first):
            return name
    return None


def _head(file: IO[bytes]) -> bytes:
    """The first lines of a text file; raises RefusedError where there is no line end within `HEADER_LIMIT`."""
    head = b""
    while chunk := file.read(HEADER_CHUNK):
        head += chunk
        if LINE_END.search(head):
            break
        if len(head) > HEADER_LIMIT:
            raise file_refusal(
                f"no line end within {len(head):,} bytes",
                f"a first line of at most {HEADER_LIMIT:,} bytes that names the columns",
                "the file is of another kind, or was written in one line",
                "export CSV with a header and a line for each row",
            )
    return head


# Text: delimiter and header ------------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """How a text file is laid out: the names of its columns, its delimiter, where its first row begins (byte and line),
    and notes on what stands before.
    """

    names: tuple[str, ...]
    delimiter: str
    start: int
    line: int
    notes: tuple[str, ...]


class Record(NamedTuple):
    """A record of a text file: its first line's number, where it begins and ends (in bytes), its fields, and how many lines
    it spans; 0 lines where a quotation mark is never closed, with the first line as the record.
    """

    line: int
    begin: int
    end: int
    fields: list[str]
    lines: int


def _layout(head: bytes) -> Layout:
    """Delimiter and header by the first lines; raises RefusedError where no line names columns."""
    text = head.decode("latin-1")  # a character for each byte, so that places in the text are places in the file
    cut = max(text.rfind("\n"), text.rfind("\r"))
    sample = text[: cut + 1] if cut >= 0 and text[:cut].strip() else text
    first = next(_records(sample, DELIMITERS[0]), None)
    if first is None:
        raise _headless_refusal("an empty first line")
    sep = SEP_LINE.match(sample[first.begin : first.end].strip("\r\n"))
    delimiter = sep[1] if sep else max(DELIMITERS, key=lambda each: _regularity(sample, each))
    records = list(itertools.islice(_records(sample, delimiter), SAMPLE_LINES))[1 if sep else 0 :]
    if not records:
        raise _headless_refusal(f"only {sep[0]!r}" if sep else "an empty first line")
    place = _header_place(records)
    header = records[place]
    names = [_name(text) for text in header.fields]
    if header.fields[0].startswith(COMMENT) and place == len(_comments(records)) - 1:
        names[0] = names[0].lstrip(f"{COMMENT} ")
    if not any(names):
        raise _headless_refusal("an empty first line")
    before = [sample[record.begin : record.end].strip() for record in records[:place]]
    notes = []
    if before:
        last = header.line - 1
        which = (
            f"line {records[0].line} stands" if records[0].line == last else f"lines {records[0].line} to {last} stand"
        )
        notes.append(
            f"{which} before the header, and {'is' if len(before) == 1 else 'are'} left out: {excerpt(_name(before[0]))}"
        )
    return Layout(tuple(names), delimiter, header.end, header.line + header.lines, tuple(notes))


def _headless_refusal(value: str) -> RefusedError:
    return file_refusal(
        value,
        "a first line that names the columns",
        "the export has no header, or its first column holds a document",
        "export CSV with a header",
    )


def _name(text: str) -> str:
    """Text of the sample as it reads in UTF-8; other bytes stand as their hexadecimal numbers."""
    return text.encode("latin-1").decode("utf-8", errors="backslashreplace")


def _regularity(sample: str, delimiter: str) -> tuple[int, bool, int]:
    """How many of the first lines have the commonest number of fields, of two and more; whether the first line has it; and
    that number.
    """
    usual, widths = _usual_form(delimiter), []
    for record in itertools.islice(_records(sample, delimiter), SAMPLE_LINES):
        is_usual = usual.match(sample[record.begin : record.end].rstrip("\r\n"))
        widths.append(len(record.fields) if is_usual else 0)
    counts = Counter(width for width in widths if width > 1 and widths[0])
    return max(((lines, widths[0] == width, width) for width, lines in counts.items()), default=(0, False, 0))


@lru_cache(maxsize=16)
def _usual_form(delimiter: str) -> re.Pattern[str]:
    """A record without text behind a closing quotation mark, of which readers of CSV make different things."""
    mark = re.escape(delimiter)
    text = rf'(?:"(?:[^"]++|"")*+"|(?!")[^{mark}\r\n]*+)'
    return re.compile(rf"{text}(?:{mark}{text})*+\Z")


def _comments(records: Sequence[Record]) -> list[Record]:
    """The lines of comment with which a file begins."""
    return list(itertools.takewhile(lambda record: record.fields[0].startswith(COMMENT), records))


def _header_place(records: Sequence[Record]) -> int:
    """Which of the first lines names the columns.

    It is the first one as wide as the rows are, with a name in all fields but one, before the first row that holds a
    number or a stamp. Where no line is that, the first that is no comment is meant, so that its names are told.
    """
    comments = len(_comments(records))
    if comments == len(records):
        return comments - 1
    widths = Counter(len(record.fields) for record in records[comments:])
    width = max(widths, key=lambda each: (widths[each] if each > 1 else 0, each))
    rows = (place for place, record in enumerate(records[comments:], comments) if _is_row(record, width))
    first_row = next(rows, len(records))
    for slack in (0, 1):
        for place in range(comments, first_row):
            if _names_columns(records[place].fields, width, slack):
                return place
    # Without a header below the comments the last of them is it, as numerical programs write it.
    is_last_comment = comments and first_row == comments and len(records[comments - 1].fields) == width
    return comments - 1 if is_last_comment else comments


def _names_columns(fields: Sequence[str], width: int, slack: int) -> bool:
    """Whether a line is a header of rows so wide, which may end in `slack` empty fields too many: names in most fields, and
    in all but one of those that come before the last name.
    """
    filled = [bool(field.strip()) for field in fields]
    last = max((place for place, is_filled in enumerate(filled, 1) if is_filled), default=0)
    fits = len(fields) == width or width - slack <= last <= width
    return fits and 2 * sum(filled) > width and last - sum(filled) <= 1


def _is_row(record: Record, width: int) -> bool:
    return len(record.fields) == width and any(VALUE.match(field) for field in record.fields)


def _records(text: str, delimiter: str, start: int = 0, line: int = 1) -> Iterator[Record]:
    """The records of a text from a place on; blank lines are none."""
    while start < len(text):
        end = _line_end(text, start)
        content = text[start:end].rstrip("\r\n")
        if not content.strip(" "):
            start, line = end, line + 1
            continue
        plain = Record(line, start, end, content.split(delimiter), 1)
        record = _quoted_record(text, delimiter, start, line) if '"' in content else plain
        yield record
        start, line = record.end, line + max(1, record.lines)


def _line_end(text: str, start: int) -> int:
    found = LINE.match(text, start)
    return found.end() if found else len(text)


def _quoted_record(text: str, delimiter: str, start: int, line: int) -> Record:
    """The record at a place, over as many lines as its quotation marks span."""
    ends: list[int] = []

    def lines() -> Iterator[str]:
        begin = start
        while begin < len(text):
            ends.append(_line_end(text, begin))
            yield text[begin : ends[-1]]
            begin = ends[-1]
        ends.append(-1)  # asked for more than there is
        yield ""

    try:
        fields = next(csv.reader(lines(), delimiter=delimiter))
    except csv.Error:
        ends.append(-1)
        fields = []
    if ends[-1] < 0:
        return Record(line, start, ends[0], text[start : ends[0]].rstrip("\r\n").split(delimiter), 0)
    return Record(line, start, ends[-1], fields, len(ends))


# Text: its rows ------------------------------------------------------------------------------------------------------


def _read_text(data: bytes, columns: Sequence[str] | None, encoding: str | None) -> RawTable:
    text, notes = _decoded(data, encoding)
    layout = _layout(_head(io.BytesIO(text)))
    # One column at least, so that the rows can be counted.
    wanted = [place for place, name in enumerate(layout.names) if columns is None or name in columns] or [0]
    body, quoted = memoryview(text)[layout.start :], text.find(b'"', layout.start) >= 0
    table: pa.Table | None = None
    rows: SplitRows | None = None
    # Where a line has too few or too many fields, or quotation marks span lines or blocks, the rows are split below.
    with contextlib.suppress(pa.ArrowInvalid):
        table = _parse(body, layout, wanted)
    # Each row is a line, and each quotation mark is closed; else they are looked at one by one.
    plain = not quoted or (
        text.count(b'"', layout.start) % 2 == 0 and table and table.num_rows == _lines_with_text(body)
    )
    if table is None or not plain:
        rows = _split_rows(text, layout)
        nothing = pa.table([pa.array([], pa.string())] * len(wanted), names=[str(place) for place in wanted])
        table = _parse(rows.content, layout, wanted, longest=rows.longest) if rows.lines else nothing
        if table.num_rows != len(rows.lines):
            raise file_refusal(
                f"{table.num_rows:,} rows in {len(rows.lines):,} records",
                "a row for each record",
                "quotation marks stand within fields",
                "double the quotation marks within fields",
            )
    if not table.num_rows and not (rows and rows.bad):
        notes.append("the file has a header and no rows")
    named = pa.table(table.columns, names=[layout.names[place] for place in wanted])
    is_bad = _mask_of_bad_bytes(named)
    if not is_bad.any():
        return RawTable(named, (*notes, *layout.notes, *(rows.notes if rows else ())), rows.bad if rows else ())
    rows = rows or _split_rows(text, layout)
    bad = (*rows.bad, *(_undecoded(text, rows, int(row)) for row in np.flatnonzero(is_bad)))
    return RawTable(named.filter(pa.array(~is_bad)), (*notes, *layout.notes, *rows.notes), tuple(sorted(bad)))


def _parse(body: bytes | memoryview, layout: Layout, wanted: Sequence[int], *, longest: int = 0) -> pa.Table:
    """The wanted columns of well-formed text, under their places."""
    names = [str(place) for place in range(len(layout.names))]
    return pacsv.read_csv(
        pa.BufferReader(_in_arrow(body)),
        read_options=pacsv.ReadOptions(column_names=names, block_size=max(BLOCK, 2 * longest)),
        parse_options=pacsv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=longest > 0),
        # Only an empty field is missing: NA is Namibia, and a site may be called null.
        convert_options=pacsv.ConvertOptions(
            include_columns=[names[place] for place in wanted],
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            check_utf8=False,
        ),
    )


class SplitRows(NamedTuple):
    """The rows of a text file, record by record.

    `content` is well-formed text of all rows as wide as the header; of each row `lines` has the number of its first line
    and `begins` where it begins in the file. `bad` are the lines that are no rows. `longest` is the length of the longest
    row where one spans lines or is too long for a block, else 0.
    """

    content: bytes
    lines: array[int]
    begins: array[int]
    bad: tuple[BadLine, ...]
    longest: int
    notes: tuple[str, ...]


def _split_rows(text: bytes, layout: Layout) -> SplitRows:
    """Tell rows from lines that are none. A quotation mark that is never closed, or closed in another row, spoils its own
    line alone.
    """
    decoded, delimiter, width = text.decode("latin-1"), layout.delimiter, len(layout.names)
    # Names that are empty at the header's end stand for nothing, and so do empty fields at the end of a line.
    least = max((place for place, name in enumerate(layout.names, 1) if name), default=width)
    pieces: list[str] = []
    lines, begins, bad = array("q"), array("q"), list[BadLine]()
    position, line, longest, spans, trimmed = layout.start, layout.line, 0, False, 0
    while position < len(decoded):
        stop = _line_end(decoded, position)
        content, spanned = decoded[position:stop].rstrip("\r\n"), 1
        if not content.strip(" "):
            position, line = stop, line + 1
            continue
        count = content.count(delimiter) + 1
        if '"' in content:
            record = _quoted_record(decoded, delimiter, position, line)
            if _has_stray_quote(decoded, record, delimiter, width, least):
                bad.append(_bad_line(line, content, -1, layout))
                position, line = stop, line + 1
                continue
            stop, count, spanned = record.end, len(record.fields), record.lines
            content = decoded[position:stop].rstrip("\r\n")
            if not _usual_form(delimiter).match(content):
                content = _quoted(record.fields, delimiter)
        surplus = max(0, count - width)
        if count >= least and content.endswith(delimiter * surplus):
            piece = content[: len(content) - surplus] + delimiter * (width - count)
            pieces.append(f"{piece or EMPTY}\n")
            lines.append(line)
            begins.append(position)
            trimmed += surplus > 0
            longest, spans = max(longest, len(content)), spans or spanned > 1
        else:
            bad.append(_bad_line(line, content, count, layout))
        position, line = stop, line + spanned
    notes = (f"{trimmed:,} rows end in an empty field too many, which is left out",) if trimmed else ()
    longest = longest if spans or longest > BLOCK // 2 else 0
    return SplitRows("".join(pieces).encode("latin-1"), lines, begins, tuple(bad), longest, notes)


def _quoted(fields: Sequence[str], delimiter: str) -> str:
    """The fields as a record with each of them in quotation marks."""
    return delimiter.join('"' + field.replace('"', '""') + '"' for field in fields)


def _has_stray_quote(text: str, record: Record, delimiter: str, width: int, least: int) -> bool:
    """Whether the first line of a record holds a quotation mark that is not meant as one: it is closed nowhere, or at a
    place that makes no row, or it swallows lines that are rows by themselves.
    """
    if record.lines <= 1:
        return record.lines == 0
    within = text[record.begin : record.end].splitlines()
    return not least <= len(record.fields) <= width or all(each.count(delimiter) + 1 == width for each in within)


def _bad_line(line: int, content: str, count: int, layout: Layout) -> BadLine:
    """A line that is no row; `count` are its fields, -1 where a quotation mark spoils it."""
    text, width = _name(content), len(layout.names)
    if count < 0:
        return BadLine(
            line,
            text,
            "quotation marks that are closed",
            "a quotation mark at the beginning of a field is closed nowhere, or in another row",
            "double the quotation marks within fields, and quote those fields",
        )
    bound = f"{width} fields, as the header has"
    if count < width:
        cause = f"the line has {count}: it is a message or a sum among the rows, or was broken off"
        return BadLine(line, text, bound, cause, "leave such lines out of the export")
    cause = f"the line has {count}: a field that is not quoted holds the delimiter {layout.delimiter!r}"
    return BadLine(line, text, bound, cause, "put such fields in quotation marks")


def _undecoded(text: bytes, rows: SplitRows, row: int) -> BadLine:
    """A row that holds bytes of another encoding."""
    begin = rows.begins[row]
    end = LINE_END.search(text, begin)
    content = text[begin : end.start() if end else len(text)]
    try:
        content.decode()
        what = "bytes"
    except UnicodeDecodeError as error:
        what = f"the byte 0x{content[error.start]:02X} at place {error.start + 1}"
    return BadLine(
        rows.lines[row],
        content.decode("utf-8", errors="backslashreplace"),
        "text in UTF-8",
        f"{what} of the line is of another encoding, perhaps Windows-1252",
        "save the file as UTF-8, or name its encoding, for instance --encoding windows-1252",
    )


def _mask_of_bad_bytes(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows hold text that is not UTF-8."""
    bad = np.zeros(table.num_rows, bool)
    for values in table.columns:
        begin = 0
        for chunk in values.chunks:
            try:
                chunk.validate(full=True)
            except pa.ArrowInvalid:
                raw = chunk.cast(pa.binary()).to_pylist()
                bad[begin : begin + len(chunk)] |= [value is not None and not _is_utf8(value) for value in raw]
            begin += len(chunk)
    return bad


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines_with_text(body: memoryview) -> int:
    """Lines that are not empty."""
    content, count, in_line = np.frombuffer(body, np.uint8), 0, False
    for begin in range(0, len(content), UNPACKED_CHUNK):
        piece = content[begin : begin + UNPACKED_CHUNK]
        is_text = (piece != 10) & (piece != 13)
        count += int(np.count_nonzero(is_text[1:] & ~is_text[:-1])) + int(bool(is_text[0]) and not in_line)
        in_line = bool(is_text[-1])
    return count

"""Where snapshots lie: files, folders, Delta tables and URLs, found in a stable order and read whole.

A URL is s3://, gs://, az:// (an object, or all objects below a prefix) or http(s):// (one file). Credentials come from
the environment. A folder named site_id=fra holds rows of that site; a folder that is a table of its own (Delta, Hudi,
Iceberg) is never read as loose files.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import HTTPStore, ObjectStore

from data.lake.object_store import store_at
from data.lake.tables import foreign_files
from data.schema.errors import SettingError, SnapshotError

PARQUET = (".parquet", ".pq")
TEXTS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
# What a folder is searched for: a .txt there is a note, and becomes a snapshot only where it is named.
SUFFIXES = (*PARQUET, ".parquet.gz", *(suffix for suffix in TEXTS if not suffix.startswith(".txt")))
STORE_FAULTS = (BaseError, OSError)
# What a Parquet file begins with, whatever its name; the second is encrypted.
PARQUET_MARKS = (b"PAR1", b"PARE")
# Folders in which a table keeps its log.
DELTA_LOG, HUDI_LOG, ICEBERG_LOG, ICEBERG_FILE = "_delta_log", ".hoodie", "metadata", ".metadata.json"
PARTITION = re.compile(r"^([^=]+)=(.*)$")
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Source:
    """One file: where it is, its place among others, and what tells whether it has changed since.

    `url` is an absolute path or a URL; `folders` are the names between the path that was asked for and the file;
    `partitions` are the columns that stand in the names of folders, or in the log of a Delta table, `table_version` that
    table and its version. `refusal` says why the rows cannot be had at all.
    """

    url: str
    folders: tuple[str, ...]
    size: int
    changed: datetime
    tag: str = ""
    partitions: tuple[tuple[str, str | None], ...] = ()
    table_version: str = ""
    refusal: str = ""

    @property
    def name(self) -> str:
        """The file's own name."""
        return unquote(Path(urlsplit(self.url).path).name) if "://" in self.url else Path(self.url).name

    @property
    def address(self) -> str:
        """`url` as text that can be kept: bytes of a file's name that are not UTF-8 stand as their codes."""
        return self.url.encode("utf-8", errors="backslashreplace").decode()

    @property
    def fingerprint(self) -> tuple[str, int, datetime, str, str]:
        """Equal for as long as the file has not been written to."""
        return self.url, self.size, self.changed, self.tag, self.table_version

    def digest(self, data: bytes) -> str:
        """Hash of the file's bytes and of what it does not say itself: the same rows of two sites are not the same."""
        beside = repr((self.partitions, self.table_version)) if self.partitions or self.table_version else ""
        return hashlib.sha256(data + beside.encode()).hexdigest()


class Listing(NamedTuple):
    """The snapshots at some paths, and the files there that are taken for none."""

    sources: list[Source]
    passed_over: list[str]


def list_snapshots(paths: Iterable[str], *, empty: bool = False, version: int | None = None) -> Listing:
    """All snapshots at the paths; folders and prefixes are searched to the bottom, in the order of names. Of a Delta table
    the files of its newest version, or of `version`.

    Raises SettingError for a path that does not exist or that no store answers for; a prefix without objects does not
    exist, unless it may be `empty`.
    """
    found = [
        source
        for path in paths
        for source in (
            _at_url(path, version, empty=empty) if "://" in path else _at_path(Path(path).expanduser(), version)
        )
    ]
    passed_over = list(dict.fromkeys(each for each in found if isinstance(each, str)))
    return Listing(list({each.url: each for each in found if isinstance(each, Source)}.values()), passed_over)


def find_snapshots(paths: Iterable[str], *, empty: bool = False, version: int | None = None) -> list[Source]:
    """The snapshots of `list_snapshots`."""
    return list_snapshots(paths, empty=empty, version=version).sources


def read_bytes(source: Source) -> bytes:
    """All bytes of the file; raises SnapshotError where it cannot be read."""
    if source.refusal:
        raise SnapshotError(source.refusal)
    try:
        if "://" not in source.url:
            return Path(source.url).read_bytes()
        store, key = _object(source.url)
        return bytes(obstore.get(store, key).bytes())
    except STORE_FAULTS as error:
        raise _unreadable(source, error) from error


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """The file for reading parts of it; raises SnapshotError where it cannot be opened."""
    if source.refusal:
        raise SnapshotError(source.refusal)
    try:
        file = _open(source.url)
    except STORE_FAULTS as error:
        raise _unreadable(source, error) from error
    with file:
        yield file


def delete_source(source: Source) -> None:
    """Delete the file; one that another process has deleted is no fault. Files of a table stay: they are its rows."""
    if source.table_version or source.refusal:
        return
    if "://" not in source.url:
        Path(source.url).unlink(missing_ok=True)
        return
    store, key = _object(source.url)
    try:
        obstore.delete(store, key)
    except FileNotFoundError:
        return


def is_snapshot(name: str) -> bool:
    """Whether a file in a folder is meant as a snapshot: its kind, and no mark of a file that is hidden or half
    written.
    """
    return name.lower().endswith(SUFFIXES) and not name.startswith((".", "_"))


def _open(url: str) -> BinaryIO:
    if "://" not in url:
        return Path(url).open("rb")
    store, key = _object(url)
    # A web server need not know of parts, so its files are fetched whole.
    return cast("BinaryIO", _Remote(store, key)) if key else io.BytesIO(bytes(obstore.get(store, key).bytes()))


def _unreadable(source: Source, error: Exception) -> SnapshotError:
    return SnapshotError(
        f"{source.url} cannot be read: {str(error).splitlines()[0]}.",
        cause="it was removed, or access to it is refused",
        remedy="check the path and the credentials in the environment",
    )


def _at_path(path: Path, version: int | None) -> Iterator[Source | str]:
    """Snapshots at a path, and as text the files that are none."""
    if path.is_file():
        yield _file(path.parent.resolve() / path.name, ())
        return
    if not path.is_dir():
        raise SettingError(
            f"{path}: no such file or folder.",
            cause="a misspelling, or a relative path from another folder",
            remedy="check the path",
        )
    root = path.resolve()
    for folder, below, names in os.walk(root):
        kind = _table_kind(below, os.listdir(Path(folder, ICEBERG_LOG)) if ICEBERG_LOG in below else ())
        if kind:
            yield from _table_sources(kind, folder, Path(folder).relative_to(root.parent).parts, version)
            below.clear()
            continue
        below[:] = sorted(name for name in below if not name.startswith((".", "_")))
        for name in sorted(name for name in names if not name.startswith((".", "_"))):
            where = Path(folder, name)
            if not where.is_file():  # a broken link, or a pipe
                continue
            if is_snapshot(name) or _holds_parquet(where):
                yield _file(where, where.relative_to(root.parent).parts[:-1])
            else:
                yield str(where)


def _holds_parquet(path: Path) -> bool:
    """Whether a file is Parquet by its first bytes, as Spark and Hive write it without an ending."""
    try:
        with path.open("rb") as file:
            return file.read(4) in PARQUET_MARKS
    except OSError:
        return False


def _table_kind(below: Iterable[str], metadata: Iterable[str]) -> str:
    """Which format of tables a folder is one of, by the names of the folders in it and of the files in `metadata`; empty
    where it is a folder like others.
    """
    names = set(below)
    if DELTA_LOG in names:
        return "Delta"
    if HUDI_LOG in names:
        return "Hudi"
    return "Iceberg" if any(name.endswith(ICEBERG_FILE) for name in metadata) else ""


def _table_sources(kind: str, url: str, folders: tuple[str, ...], version: int | None) -> Iterator[Source]:
    """The files that are the rows of a table; one source with the reason where the rows cannot be had."""
    refusal = ""
    if kind == "Delta":
        try:
            table_version, files = foreign_files(url, version)
        except SnapshotError as error:
            refusal = str(error)
        else:
            for file in files:
                yield Source(file.path, folders, file.size, file.written, "", file.partitions, table_version)
    else:
        refusal = (
            f"{url} is {'an' if kind == 'Iceberg' else 'a'} {kind} table: its files alone are not its rows, as deleted and replaced ones stay among them. "
            "Remedy: export the rows as Parquet, or write them as a Delta table."
        )
    if refusal:
        yield Source(url, folders, 0, datetime.now(UTC), refusal=refusal)


def _file(path: Path, folders: tuple[str, ...]) -> Source:
    facts = path.stat()
    changed = datetime.fromtimestamp(facts.st_mtime, UTC)
    return Source(str(path), folders, facts.st_size, changed, partitions=_partitions(path.parts[:-1]))


def _partitions(folders: Sequence[str]) -> tuple[tuple[str, str | None], ...]:
    """The columns in the names of the folders right above a file: date=2026-03-02/site_id=fra."""
    matches = [PARTITION.match(folder) for folder in itertools.takewhile(PARTITION.match, reversed(folders))]
    values = [(unquote(match[1]), unquote(match[2])) for match in reversed(matches) if match]
    return tuple((name, None if value == NO_VALUE else value) for name, value in values)


def _at_url(url: str, version: int | None, *, empty: bool) -> Iterator[Source | str]:
    try:
        store, key = _object(url)
        if key or url.startswith("http"):
            try:
                yield _source(url, (), obstore.head(store, key))
                return
            except FileNotFoundError:
                if url.startswith("http"):
                    raise
        yield from _below(url.rstrip("/"), version, empty=empty)
    except STORE_FAULTS as error:
        raise SettingError(
            f"{url}: {str(error).splitlines()[0]}.",
            cause="the address or the credentials are wrong",
            remedy="check the address, and the credentials in the environment (AWS_*, GOOGLE_*, AZURE_*)",
        ) from error


def _below(url: str, version: int | None, *, empty: bool) -> Iterator[Source | str]:
    """Everything below a prefix that is meant as a snapshot, and as text what is not."""
    objects = sorted((entry for part in obstore.list(store_at(url)) for entry in part), key=lambda entry: entry["path"])
    if not objects and not empty:
        raise FileNotFoundError("nothing lies there")
    tables = _tables_among([entry["path"] for entry in objects])
    for root, kind in tables.items():
        above = (Path(url).name, *filter(None, root.split("/")))
        yield from _table_sources(kind, f"{url}/{root}".rstrip("/"), above, version)
    for entry in objects:
        *folders, name = entry["path"].split("/")
        inside = any("/".join(folders[:depth]) in tables for depth in range(len(folders) + 1))
        if inside or any(part.startswith((".", "_")) for part in (*folders, name)):
            continue
        where = f"{url}/{entry['path']}"
        yield _source(where, (Path(url).name, *folders), entry) if is_snapshot(name) else where


def _tables_among(paths: Iterable[str]) -> dict[str, str]:
    """Prefixes that are tables, and of which format, by the objects in their logs."""
    tables: dict[str, str] = {}
    for path in paths:
        folders = path.split("/")[:-1]
        for depth, folder in enumerate(folders):
            inside = [path.rpartition("/")[2]] if folder == ICEBERG_LOG and depth == len(folders) - 1 else []
            if kind := _table_kind([folder], inside):
                tables.setdefault("/".join(folders[:depth]), kind)
    return tables


def _source(url: str, folders: tuple[str, ...], facts: Any) -> Source:
    partitions = _partitions(urlsplit(url).path.split("/")[:-1])
    return Source(url, folders, facts["size"], facts["last_modified"], facts["e_tag"] or "", partitions)


def _object(url: str) -> tuple[ObjectStore, str]:
    """The store of an object, and the object's key in it."""
    if url.startswith(("http://", "https://")):
        # The whole address is the root, so that a signature in its query survives.
        return HTTPStore.from_url(url, client_options={"allow_http": url.startswith("http://")}), ""
    above, _, key = url.rstrip("/").rpartition("/")
    return (store_at(url), "") if above.endswith("/") else (store_at(above), key)


class _Remote(io.RawIOBase):
    """An object in a store as a file that seeks; only what is read is fetched."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        super().__init__()
        self._reader = obstore.open_reader(store, key)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()

    def readinto(self, buffer: Any, /) -> int:
        data = bytes(self._reader.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

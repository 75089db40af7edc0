"""Where snapshots lie: files, folders and URLs, found in a stable order and read whole.

A URL is s3://, gs://, az:// (an object, or all objects below a prefix) or http(s):// (one file). Credentials come from
the environment.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import HTTPStore, ObjectStore

from data.lake.object_store import store_at
from data.schema.errors import SettingError, SnapshotError

PARQUET = (".parquet", ".pq")
TEXTS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
# What a folder is searched for: a .txt there is a note, and becomes a snapshot only where it is named.
SUFFIXES = (*PARQUET, *(suffix for suffix in TEXTS if not suffix.startswith(".txt")))
STORE_FAULTS = (BaseError, OSError)


@dataclass(frozen=True, slots=True)
class Source:
    """One file: where it is, its place among others, and what tells whether it has changed since.

    `url` is an absolute path or a URL; `folders` are the names between the path that was asked for and the file.
    """

    url: str
    folders: tuple[str, ...]
    size: int
    changed: datetime
    tag: str = ""

    @property
    def name(self) -> str:
        """The file's own name."""
        return unquote(Path(urlsplit(self.url).path).name) if "://" in self.url else Path(self.url).name

    @property
    def fingerprint(self) -> tuple[str, int, datetime, str]:
        """Equal for as long as the file has not been written to."""
        return self.url, self.size, self.changed, self.tag


def find_snapshots(paths: Iterable[str], *, empty: bool = False) -> list[Source]:
    """All snapshots at the paths; folders and prefixes are searched to the bottom, in the order of names.

    Raises SettingError for a path that does not exist or that no store answers for; a prefix without objects does not
    exist, unless it may be `empty`.
    """
    sources = [
        source
        for path in paths
        for source in (_at_url(path, empty=empty) if "://" in path else _at_path(Path(path).expanduser()))
    ]
    return list({source.url: source for source in sources}.values())


def read_bytes(source: Source) -> bytes:
    """All bytes of the file; raises SnapshotError where it cannot be read."""
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
    try:
        file = _open(source.url)
    except STORE_FAULTS as error:
        raise _unreadable(source, error) from error
    with file:
        yield file


def delete_source(source: Source) -> None:
    """Delete the file; one that another process has deleted is no fault."""
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


def _at_path(path: Path) -> Iterator[Source]:
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
        below[:] = sorted(name for name in below if not name.startswith((".", "_")))
        for name in sorted(filter(is_snapshot, names)):
            where = Path(folder, name)
            if where.is_file():  # neither a broken link nor a pipe
                yield _file(where, where.relative_to(root.parent).parts[:-1])


def _file(path: Path, folders: tuple[str, ...]) -> Source:
    facts = path.stat()
    return Source(str(path), folders, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))


def _at_url(url: str, *, empty: bool) -> Iterator[Source]:
    try:
        store, key = _object(url)
        if key or url.startswith("http"):
            try:
                yield _source(url, (), obstore.head(store, key))
                return
            except FileNotFoundError:
                if url.startswith("http"):
                    raise
        yield from _below(url.rstrip("/"), empty=empty)
    except STORE_FAULTS as error:
        raise SettingError(
            f"{url}: {str(error).splitlines()[0]}.",
            cause="the address or the credentials are wrong",
            remedy="check the address, and the credentials in the environment (AWS_*, GOOGLE_*, AZURE_*)",
        ) from error


def _below(url: str, *, empty: bool) -> Iterator[Source]:
    """Everything below a prefix that is meant as a snapshot."""
    objects = sorted((entry for part in obstore.list(store_at(url)) for entry in part), key=lambda entry: entry["path"])
    if not objects and not empty:
        raise FileNotFoundError("nothing lies there")
    for entry in objects:
        *folders, name = entry["path"].split("/")
        if is_snapshot(name) and not any(folder.startswith((".", "_")) for folder in folders):
            yield _source(f"{url}/{entry['path']}", (Path(url).name, *folders), entry)


def _source(url: str, folders: tuple[str, ...], facts: Any) -> Source:
    return Source(url, folders, facts["size"], facts["last_modified"], facts["e_tag"] or "")


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

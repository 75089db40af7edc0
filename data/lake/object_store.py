"""Access to the object store that holds a lake: time limits and retries, what was fetched, and faults as errors.

A store that hangs costs a reader 20 s (10 s of waiting, tried twice) and a writer, whose requests carry data, 30 to 60 s;
one that refuses connections or throttles 1 to 3 s of tries with growing pauses; one that denies access a single answer.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from deltalake.exceptions import DeltaError
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from data.schema.errors import LakeError, ObjectStoreError

# What the libraries that read and write a lake raise where its store does not do what they ask.
STORE_ERRORS = (BaseError, DeltaError, OSError)
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
CARRYING_SECONDS = 30.0
RETRIES = 4
# No request is tried again after so long: a hanging store is told by its second silence.
RETRY_SECONDS = 15.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0
# What went wrong, by what the store's answer or the client's message holds; then its likely cause and what helps. The
# first that fits counts.
FAULTS = (
    (
        "access denied",
        ("AccessDenied", "403 Forbidden", "PermissionDenied", "necessary privileges"),
        "the credentials may not read or write here",
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy: pages read and list, ingest and refresh write and delete too",
    ),
    (
        "not signed in",
        ("Unauthenticated", "401 Unauthorized", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        "there are no credentials, or the store does not know them",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role",
    ),
    (
        "no such bucket",
        ("NoSuchBucket",),
        "the bucket was not made, or its name is misspelt",
        "make the bucket, or correct HEADROOM_LAKE or --lake",
    ),
    (
        "throttled",
        ("SlowDown", "503 Service", "429 Too Many"),
        "the store is overloaded, or limits this client",
        "try again in a minute; where it stays, run fewer servers or raise the store's request quota",
    ),
    (
        "connection refused",
        ("Connection refused", "ConnectionRefused", "tcp connect error", "dns error"),
        "the store is down, or its address or port is wrong",
        "check AWS_ENDPOINT_URL and the network, then try again",
    ),
    (
        "no answer in time",
        ("operation timed out", "TimedOut"),
        "the store hangs, or a firewall drops what is sent to it",
        "check the network between this machine and the store, then try again",
    ),
)
# How a full disk, or a quota that is used up, shows: by number, or where a library passes on its text alone.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_MARKS = ("No space left on device", "Disk quota exceeded")
UNKNOWN_FAULT = ("the store refuses the request", "check the store's address and credentials, then try again")


class Traffic:
    """Requests to object stores and the bytes that they brought, since this process began; threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests = 0
        self.bytes = 0

    def count(self, size: int) -> None:
        with self._lock:
            self.requests += 1
            self.bytes += size


TRAFFIC = Traffic()


def is_remote(url: str) -> bool:
    """Whether a lake lies in an object store, not in a folder."""
    return "://" in url


def store_at(url: str, answer_seconds: float = CARRYING_SECONDS) -> ObjectStore:
    """An object store rooted at a folder or a URL; a folder is made where it does not exist."""
    if not is_remote(url):
        return LocalStore(url, mkdir=True)
    settings = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))}
    return _remote_store(
        url, tuple(sorted(settings.items())), (CONNECT_SECONDS, answer_seconds, RETRY_SECONDS, RETRIES)
    )


def lake_store(url: str) -> ObjectStore:
    """The store of a lake, for reading and for small files: a store that hangs is told soon."""
    return store_at(url, ANSWER_SECONDS)


@lru_cache(maxsize=32)
def _remote_store(url: str, _: tuple[tuple[str, str], ...], limits: tuple[float, float, float, int]) -> ObjectStore:
    """One client for each URL, credentials and limits, so that its connections are kept."""
    connect, answer, retry, retries = limits
    allow_http = os.environ.get("AWS_ALLOW_HTTP", "").lower() in {"1", "true", "yes"}
    return from_url(
        url,
        client_options={
            "connect_timeout": timedelta(seconds=connect),
            "timeout": timedelta(seconds=answer),
            "allow_http": allow_http,
        },
        retry_config={
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=retry),
            "backoff": {
                "init_backoff": timedelta(seconds=FIRST_PAUSE),
                "max_backoff": timedelta(seconds=LONGEST_PAUSE),
                "base": 2,
            },
        },
    )


def delta_options(url: str) -> dict[str, str] | None:
    """The same limits for the library of Delta tables; None for a folder."""
    if not is_remote(url):
        return None
    return {
        "connect_timeout": f"{CONNECT_SECONDS:g}s",
        "timeout": f"{3 * ANSWER_SECONDS:g}s",
        "max_retries": str(RETRIES),
        "retry_timeout": f"{RETRY_SECONDS:g}s",
    }


@contextmanager
def store_faults(url: str) -> Iterator[None]:
    """Turn what the object store of a lake cannot do into ObjectStoreError; any other error passes, an absent file too.

    The libraries tell one from the other by their messages alone.
    """
    try:
        yield
    except STORE_ERRORS as error:
        fault = store_fault(url, error)
        if fault is None:
            raise
        raise fault from error


def store_fault(url: str, error: BaseException) -> LakeError | None:
    """The fault of a store behind an error: what went wrong, why, and what helps; None where the error is another."""
    if not is_remote(url):
        return disk_full(url, error)
    text = str(error)
    fault = next((fault for fault in FAULTS if any(mark in text for mark in fault[1])), None)
    if fault is None and not isinstance(error, BaseError):
        return None
    kind, _, cause, remedy = fault or (" ".join(text.partition("Debug source")[0].split())[:200], (), *UNKNOWN_FAULT)
    return ObjectStoreError(f"The object store of {url} cannot be used: {kind}.", cause=cause, remedy=remedy)


def disk_full(place: str, error: BaseException | None = None, needed: int | None = None) -> LakeError | None:
    """The error that says that the disk of a place is full; None where `error` says otherwise, or without an error where
    so many bytes would fit.
    """
    text = str(error)
    if error is not None and getattr(error, "errno", None) not in DISK_FULL and not any(m in text for m in FULL_MARKS):
        return None
    at = next((path for path in (Path(place), *Path(place).parents) if path.exists()), Path("/"))
    free = shutil.disk_usage(at).free
    if error is None and (needed is None or needed <= free):
        return None
    about = "" if needed is None else f", and about {_megabytes(needed)} are needed"
    return LakeError(
        f"The disk that holds {place} is full: {_megabytes(free)} are free{about}.",
        cause="telemetry, its rollups, older versions or other programs' files fill it",
        remedy="free some space or move the lake, then run the command again: all that was committed is kept, and what"
        " was not is taken in then",
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def check_bucket(url: str) -> None:
    """Raise ObjectStoreError where the bucket of a URL does not exist: to a request for a file that looks like no file."""
    parts = urlsplit(url)
    with store_faults(url):
        try:
            next(iter(obstore.list(lake_store(f"{parts.scheme}://{parts.netloc}"), chunk_size=1)), None)
        except FileNotFoundError as error:
            raise OSError(f"NoSuchBucket: {error}") from error

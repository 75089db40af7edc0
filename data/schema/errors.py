"""The error tree: every message carries the value, the bound, the likely cause and the remedy.

    HeadroomError
    ├── ContractError     a table does not keep the contract (data/schema/)
    ├── SnapshotError     a snapshot cannot be taken in at all
    ├── LakeError         the lake cannot be read or written
    │   └── ObjectStoreError  the object store of the lake cannot be used
    ├── SettingError      a setting or an argument is not usable
    ├── StoreError        the store of scenarios and plans cannot be opened, read or written
    ├── ScenarioError     a scenario cannot be kept as it is: its name, its body, or the file that it comes from
    └── ConflictError     somebody else changed the same thing meanwhile; it carries both versions

A refusal to forecast or to plan is data (a recorded reason), never an exception.
"""

from __future__ import annotations

from typing import Any


class HeadroomError(Exception):
    """Base of all errors that Headroom raises on purpose."""

    def __init__(self, problem: str, *, cause: str = "", remedy: str = "") -> None:
        self.problem, self.cause, self.remedy = problem, cause, remedy
        parts = [problem, f"Likely cause: {cause}." if cause else "", f"Remedy: {remedy}." if remedy else ""]
        super().__init__(" ".join(part for part in parts if part))


class ContractError(HeadroomError):
    """A table does not keep the contract."""


class SnapshotError(HeadroomError):
    """A snapshot cannot be taken in at all: it is unreadable, or its columns are not the contract's."""


class LakeError(HeadroomError):
    """The lake, or one table or version of it, cannot be read or written."""


class ObjectStoreError(LakeError):
    """The object store of the lake refuses connections or access, throttles, hangs, or has no such bucket."""


class SettingError(HeadroomError):
    """A setting or a command-line argument is not usable."""


class StoreError(HeadroomError):
    """The store of scenarios and plans cannot be opened, read or written, or does not hold what is asked for."""


class ScenarioError(HeadroomError):
    """A scenario cannot be kept as it is: its name, its body, or the file that it comes from."""


class ConflictError(HeadroomError):
    """Somebody else changed the same thing meanwhile. `yours` is what was to be written, `theirs` what stands there
    now; nothing was overwritten.
    """

    def __init__(self, problem: str, *, yours: Any, theirs: Any, cause: str = "", remedy: str = "") -> None:
        self.yours, self.theirs = yours, theirs
        super().__init__(problem, cause=cause, remedy=remedy)

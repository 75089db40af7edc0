"""The error tree: every message carries the value, the bound, the likely cause and the remedy.

    HeadroomError
    ├── ContractError     a table does not keep the contract (data/schema.py)
    ├── SnapshotError     a snapshot cannot be taken in at all
    ├── LakeError         the lake cannot be read or written
    └── SettingError      a setting or an argument is not usable

A refusal to forecast or to plan is data (a recorded reason), never an exception.
"""


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


class SettingError(HeadroomError):
    """A setting or a command-line argument is not usable."""

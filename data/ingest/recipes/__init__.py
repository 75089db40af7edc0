"""Recipes: how to read a whole data set of somebody else's, file by file, written down once.

A recipe is a TOML file. Each [[step]] names files and reads them as the options of `python -m data ingest` of the same
names would:

    [[step]]
    files = "nodes.parquet"                    # a file name, or a pattern such as "traffic-*.parquet"
    table = "sites"
    map = ["node=site_id", "node=name"]
    set = ["region_id=backbone"]
    timezone = "UTC"
    absent = "zero"

A file that several steps name is read by each; one that no step names is left alone. `also` names files beside the
recipe that belong to the data set. The recipes in this folder are known by their names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from data.ingest.reading import Reading, reading
from data.ingest.sources import Source
from data.schema.errors import SettingError

HERE = Path(__file__).parent
OPTIONS = frozenset({"files", "table", "map", "set", "timezone", "absent"})


@dataclass(frozen=True, slots=True)
class Step:
    """Which files are read, and how."""

    files: str
    reading: Reading


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps of a data set, and the files beside the recipe that belong to it."""

    steps: tuple[Step, ...]
    also: tuple[Path, ...] = ()

    def readings(self, source: Source) -> list[Reading]:
        """Every way in which a file is to be read; none where no step names it."""
        return [step.reading for step in self.steps if fnmatchcase(source.name, step.files)]


def named() -> list[str]:
    """The recipes that come with Headroom."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def load(name: str) -> Recipe:
    """A recipe by its name or its path; raises SettingError where there is none, or where it cannot be meant."""
    path = HERE / f"{name}.toml" if name in named() else Path(name)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"--recipe {name}: cannot be read.",
            cause="no such recipe or file",
            remedy=f"use {', '.join(named())}, or the path of a TOML file",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingError(
            f"--recipe {name}: {error}.", cause="the file is not TOML", remedy="see docs/import-recipes.md"
        ) from error
    steps = content.get("step")
    if not isinstance(steps, list) or not steps or set(content) - {"step", "also"}:
        raise SettingError(
            f"--recipe {name}: holds no [[step]], or more than steps and `also`.", remedy="see docs/import-recipes.md"
        )
    return Recipe(
        tuple(_step(name, step) for step in steps), tuple(path.parent / file for file in content.get("also", []))
    )


def _step(name: str, step: Mapping[str, Any]) -> Step:
    strange = sorted(set(step) - OPTIONS)
    if strange or "files" not in step:
        problem = f"a step knows no {strange[0]!r}" if strange else "a step names no files"
        raise SettingError(
            f"--recipe {name}: {problem}.", cause="a misspelling", remedy=f"use {', '.join(sorted(OPTIONS))}"
        )
    how = reading(
        step.get("table"), step.get("map", ()), step.get("set", ()), step.get("timezone"), step.get("absent", "missing")
    )
    return Step(str(step["files"]), how)

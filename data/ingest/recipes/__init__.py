"""Recipes: how to read a whole data set of somebody else's, file by file, written down once.

A recipe is a TOML file. Each [[step]] names files and reads them as the options of `python -m data ingest` of the same
names would:

    [[step]]
    files = "nodes.parquet"                    # a file name, or a pattern such as "traffic-*.parquet"
    table = "sites"
    map = ["node=site_id", "node=name"]
    constant = ["region_id=backbone"]
    timezone = "UTC"
    missing-rows = "zero"
    epoch = "ms"
    encoding = "windows-1252"

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

from data.ingest.column_mapping import ReadOptions, read_options
from data.ingest.sources import Source
from data.schema.errors import SettingError

HERE = Path(__file__).parent
OPTIONS = frozenset({"files", "table", "map", "constant", "timezone", "missing-rows", "epoch", "encoding"})


@dataclass(frozen=True, slots=True)
class RecipeStep:
    """Which files are read, and how."""

    files: str
    options: ReadOptions


@dataclass(frozen=True, slots=True)
class Recipe:
    """The steps of a data set, and the files beside the recipe that belong to it."""

    steps: tuple[RecipeStep, ...]
    also: tuple[Path, ...] = ()

    def options_of(self, source: Source) -> list[ReadOptions]:
        """Every way in which a file is to be read; none where no step names it."""
        return [step.options for step in self.steps if fnmatchcase(source.name, step.files)]


def recipe_names() -> list[str]:
    """The recipes that come with Headroom."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """A recipe by its name or its path; raises SettingError where there is none, or where it cannot be meant."""
    path = HERE / f"{name}.toml" if name in recipe_names() else Path(name)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(
            f"--recipe {name}: cannot be read.",
            cause="no such recipe or file",
            remedy=f"use {', '.join(recipe_names())}, or the path of a TOML file",
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


def _step(name: str, step: Mapping[str, Any]) -> RecipeStep:
    strange = sorted(set(step) - OPTIONS)
    if strange or "files" not in step:
        problem = f"a step knows no {strange[0]!r}" if strange else "a step names no files"
        raise SettingError(
            f"--recipe {name}: {problem}.", cause="a misspelling", remedy=f"use {', '.join(sorted(OPTIONS))}"
        )
    options = read_options(
        step.get("table"),
        step.get("map", ()),
        step.get("constant", ()),
        step.get("timezone"),
        step.get("missing-rows", "null"),
        step.get("epoch"),
        step.get("encoding"),
    )
    return RecipeStep(str(step["files"]), options)

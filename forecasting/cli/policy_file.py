"""The file that a plan's policy is written down in, TOML or JSON, and the catalogue of steps on offer that it names.

Settings are checked here and by the policies' own classes, not by a schema library: jsonschema, which is installed with
Streamlit, says "'0.8' is not of type 'number'", without the file, the nearest known name, the cause or the remedy, so that
each of its errors would have to be taken apart and written again.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd

from data.ingest.named_columns import named_frame, read_table
from data.schema.errors import SettingError
from forecasting.planning.augment_programme import AugmentOptions
from forecasting.planning.capacity import Policy
from forecasting.planning.order_by import OrderPolicy

PARSERS = {".toml": tomllib.loads, ".json": json.loads}
# What a policy may say, with the type of each value; a whole number is a number too.
POLICY_KEYS: dict[str, type] = {"statistic": str, "limit": float, "planned": bool, "limits": dict}
ORDER_KEYS: dict[str, type] = {"early": float, "times": float, "plus_days": float}
AUGMENT_KEYS: dict[str, type] = {
    "catalogue": str,
    "months": int,
    "q": float,
    "n_minus_1": bool,
    "ceiling": float,
    "budget_usd": float,
    "seconds": float,
}
SECTIONS: dict[str, type] = {"ordering": dict, "augments": dict}
CATALOGUE_COLUMNS = ("site_id", "gbps", "cost_usd_month", "lead_time_days")
CATALOGUE_OPTIONAL = ("cost_usd_once", "most", "direction")
CATALOGUE_NUMBERS = (*CATALOGUE_COLUMNS[1:], "cost_usd_once", "most")
WORDS = {str: "a text", float: "a number", bool: "true or false", int: "a whole number", dict: "a table"}


@dataclass(frozen=True, slots=True)
class PlanPolicy:
    """The settings of a plan. catalogue: steps on offer, as in augment_programme.build_problem, with their direction; None
    where nothing is to be bought.

    said: the policy in plain values, as a store keeps it.
    """

    policy: Policy = field(default_factory=Policy)
    ordering: OrderPolicy = field(default_factory=OrderPolicy)
    request: AugmentOptions = field(default_factory=AugmentOptions)
    catalogue: pd.DataFrame | None = None
    said: dict[str, Any] = field(default_factory=dict)

    def padded(self, factor: float | None, plus_days: float | None) -> PlanPolicy:
        """The policy with other paddings of lead times; None leaves one as it is."""
        times = self.ordering.times if factor is None else factor
        plus = self.ordering.plus_days if plus_days is None else plus_days
        ordering = replace(self.ordering, times=times, plus_days=plus)
        said = {**self.said, "ordering": asdict(ordering)}
        return replace(self, ordering=ordering, request=replace(self.request, ordering=ordering), said=said)


def read_policy(path: Path | None) -> PlanPolicy:
    """The policy in a file, or the usual one; raises SettingError, with the value, the bound, the cause and the remedy,
    for what is not usable.
    """
    if path is None:
        return parse_policy({}, Path())
    if path.suffix.lower() not in PARSERS:
        raise SettingError(
            f"{path} has no ending that is known.",
            cause="it is another file",
            remedy=f"end it with {' or '.join(PARSERS)}",
        )
    try:
        settings = PARSERS[path.suffix.lower()](path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(
            f"The policy {path} cannot be read: {error.strerror}.",
            cause="the path was mistyped",
            remedy="name a TOML or JSON file",
        ) from error
    except ValueError as error:
        raise SettingError(
            f"The policy {path} is no {path.suffix[1:].upper()}: {error}.",
            cause="a typing error",
            remedy="mend that line",
        ) from error
    if not isinstance(settings, dict):
        raise SettingError(
            f"The policy {path} holds no table of settings.",
            cause="it is another file",
            remedy="write settings such as limit = 0.8",
        )
    return parse_policy(settings, path)


def parse_policy(settings: Mapping[str, Any], path: Path) -> PlanPolicy:
    """The policy that settings make; `path` names their file, beside which a catalogue is looked for."""
    main = _checked_values(settings, POLICY_KEYS | SECTIONS, path, "")
    order = _checked_values(main.pop("ordering", {}), ORDER_KEYS, path, "ordering.")
    augments = _checked_values(main.pop("augments", {}), AUGMENT_KEYS, path, "augments.")
    if "limits" in main:
        main["limits"] = _checked_values(main["limits"], dict.fromkeys(main["limits"], float), path, "limits.")
    catalogue = augments.pop("catalogue", None)
    if augments and catalogue is None:
        raise SettingError(
            f"{path} sets augments.{next(iter(augments))}, and no augments.catalogue to buy from.",
            cause="the catalogue was left out",
            remedy="name a CSV or Parquet file of steps on offer",
        )
    policy, ordering = Policy(**main), OrderPolicy(**order)
    said = {
        **policy.as_dict(),
        "ordering": asdict(ordering),
        "augments": {**augments, "catalogue": catalogue} if catalogue else {},
    }
    offered = read_catalogue(path.parent / catalogue) if catalogue else None
    return PlanPolicy(policy, ordering, AugmentOptions(policy, ordering=ordering, **augments), offered, said)


def _checked_values(settings: Mapping[str, Any], types: Mapping[str, type], path: Path, section: str) -> dict[str, Any]:
    """The settings, each of its type; a number is a float."""
    for name, value in settings.items():
        if name not in types:
            near = get_close_matches(name, types, n=1)
            raise SettingError(
                f"{path} sets {section}{name}, which no policy has.",
                cause=f"a typing error for {section}{near[0]}" if near else "a typing error",
                remedy=f"use {', '.join(f'{section}{each}' for each in types)}",
            )
        fits = (int, float) if types[name] is float else types[name]
        odd = not isinstance(value, fits) or (isinstance(value, bool) and types[name] is not bool)
        if odd or (isinstance(value, float) and not math.isfinite(value)):
            raise SettingError(
                f"{path} sets {section}{name} to {value!r}, which is not {WORDS[types[name]]}.",
                cause="quotation marks, or a missing value",
                remedy=f"give {WORDS[types[name]]}",
            )
    return {name: float(value) if types[name] is float else value for name, value in settings.items()}


def read_catalogue(path: Path) -> pd.DataFrame:
    """Steps on offer: CATALOGUE_COLUMNS, and cost_usd_once, most and direction (egress where missing) where the file
    has them.
    """
    where = f"The catalogue {path}"
    steps = named_frame(read_table(where, path), CATALOGUE_COLUMNS, CATALOGUE_OPTIONAL, where)
    if (nameless := steps["site_id"].fillna("").str.strip() == "").any():
        raise SettingError(
            f"{where} names no site in row {int(nameless.argmax()) + 1}.",
            cause="an empty cell",
            remedy="name the site of every step",
        )
    ways = steps["direction"].fillna("egress") if "direction" in steps else pd.Series("egress", index=steps.index)
    if strange := sorted(set(ways) - {"ingest", "egress"}):
        raise SettingError(
            f"The catalogue {path} has the direction {strange[0]!r}.",
            cause="a typing error",
            remedy="write ingest or egress",
        )
    numbers = {name: pd.to_numeric(steps[name], errors="coerce") for name in CATALOGUE_NUMBERS if name in steps}
    return steps.assign(direction=ways, **numbers)

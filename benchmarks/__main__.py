"""All benchmarks, one after another, one JSON line for each figure: `make bench`, or `python -m benchmarks [--only
pages,queries]`.

The lakes are simulated and forecast once and kept in var/bench: demo (48 sites, 180 days) and large (500 sites, 365
days: 52 million rows, about 2 GB, a quarter of an hour to make). Absolute times mean little on a shared machine; each
line names the baseline that its ratio is against.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from data.lake.tables import Lake

BENCH = Path("var/bench")
# The end is fixed, so that every machine measures the same bytes.
END = "2026-11-01T00:00Z"
LAKES: dict[str, tuple[int, int]] = {"demo": (48, 180), "large": (500, 365)}
COMMANDS: dict[str, tuple[str, ...]] = {
    "ingest": (),
    "queries": (),
    "pages": ("--lake", str(BENCH / "demo"), "--large", str(BENCH / "large")),
    "engine": (),
    "refresh": (),
    "accuracy": (),
    "coverage": (),
    "long_range": (),
    "peaks": (),
    "weekly": ("--lake", str(BENCH / "demo")),
    "planning": (),
    "runout": (),
    "safe_limits": (),
    "causes": (),
    "detection": (),
    "screening": (),
}
NEEDS: dict[str, tuple[str, ...]] = {"pages": ("demo", "large"), "weekly": ("demo",)}


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; 1 where one of them fails, after the others have run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, one JSON line for each figure.")
    parser.add_argument("--only", default=",".join(COMMANDS), help="names, joined by commas (default: %(default)s)")
    wanted = parser.parse_args(arguments).only.split(",")
    unknown = [name for name in wanted if name not in COMMANDS]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(COMMANDS)}")
    for lake in dict.fromkeys(lake for name in wanted for lake in NEEDS.get(name, ())):
        make(lake)
    return max(run(f"benchmarks.{name}", *COMMANDS[name]) for name in wanted)


def make(lake: str) -> None:
    """Simulate a lake where it is not there yet, and publish a run of it: pages with forecasts are what people see."""
    sites, days = LAKES[lake]
    made = [
        "data",
        "demo",
        "--sites",
        str(sites),
        "--days",
        str(days),
        "--end",
        END,
        "--lake",
        str(BENCH / lake),
        "--if-empty",
    ]
    subprocess.run([sys.executable, "-m", *made], check=True, stdout=sys.stderr)
    if Lake(BENCH / lake).version("runs") is None:
        subprocess.run(
            [sys.executable, "-m", "forecasting", "refresh", "--lake", str(BENCH / lake)], check=True, stdout=sys.stderr
        )


def run(module: str, *arguments: str) -> int:
    """One benchmark in a process of its own, so that none warms another's caches."""
    Console(stderr=True).print(f"[dim]{module}[/dim]")
    return int(subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode != 0)


if __name__ == "__main__":
    sys.exit(main())

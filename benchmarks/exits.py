"""Does every command end as it says, and never in an abort of the interpreter?

    python -m benchmarks.exits [--runs 500] [--lake FOLDER]

A thread that still lets go of Python's memory when the interpreter ends aborts the process after its work is done
(status 134, "terminate called without an active exception"). The commands take turns on a small simulated lake; one
JSON line: how many runs, and by command the exit codes that are not 0.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import cycle, islice
from pathlib import Path

# Each of them ends with 0.
COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("data", "check", "{samples}/telemetry.parquet", "--lake", "{lake}"),
    "ingest": ("data", "ingest", "{samples}", "--lake", "{copy}"),
    "status": ("data", "status", "--lake", "{lake}"),
    "rollup": ("data", "rollup", "--lake", "{copy}"),
    "vacuum": ("data", "vacuum", "--lake", "{copy}"),
    "runs": ("forecasting", "status", "--lake", "{lake}"),
    "plan": ("forecasting", "plan", "--lake", "{lake}", "--out", "{plan}"),
}


def main() -> None:
    """Run the commands in turns, and print the line."""
    parser = argparse.ArgumentParser(description="Count the exits of commands that are not as they should be.")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--lake", help="a lake with a run, which is only read (default: a small one is made)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-exits-") as folder:
        places = {"samples": f"{folder}/samples", "copy": f"{folder}/copy", "plan": f"{folder}/plan.csv"}
        places["lake"] = options.lake or f"{folder}/lake"
        command("data", "samples", places["samples"])
        if options.lake is None:
            command("data", "demo", "--sites", "6", "--days", "60", "--lake", places["lake"])
            command("forecasting", "refresh", "--quiet", "--lake", places["lake"])
        command("data", "ingest", places["samples"], "--lake", places["copy"])
        codes = {name: Counter[int]() for name in COMMANDS}
        for name, words in islice(cycle(COMMANDS.items()), options.runs):
            codes[name][run(*(word.format(**places) for word in words))] += 1
    faults = {name: {str(code): n for code, n in counts.items() if code} for name, counts in codes.items()}
    sys.stdout.write(
        json.dumps({"bench": "exits", "runs": options.runs, "faults": {n: f for n, f in faults.items() if f}}) + "\n"
    )


def command(*words: str) -> None:
    """Run a command that must succeed."""
    if code := run(*words):
        raise SystemExit(f"python -m {' '.join(words)} ended with exit code {code}")


def run(*words: str) -> int:
    """The exit code of `python -m` with these words; negative for a signal."""
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=Path(__file__).parent.parent, capture_output=True, check=False
    ).returncode


if __name__ == "__main__":
    main()

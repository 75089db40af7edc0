"""Change the code of planning, evaluation and the contract a little, one place at a time, and count which changes a test
notices.

    python -m scripts.mutants --sample 40 --seed 1        (`make mutants`)

mutmut makes the changes in a copy of the checkout, under mutants/, and runs for each the tests that reach it. All of
them would take hours: a sample is drawn, the same one for the same seed. What survived is printed with its difference.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).absolute().parent.parent
ROOMS = ("forecasting.planning", "forecasting.evaluation", "data.schema")
# A test that fails, and one that no longer ends, have noticed; the type checker is not asked.
NOTICED = ("killed", "timeout")
AT_LEAST = 0.8


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sample; 0 where at least four fifths were noticed in every room."""
    parser = argparse.ArgumentParser(prog="scripts.mutants", description="Count the changes that tests notice.")
    parser.add_argument("--sample", type=int, default=40, help="changes for each room (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which sample (default: %(default)s)")
    options = parser.parse_args(arguments)
    names = mutants()
    draw = random.Random(options.seed)
    by_room = {room: [name for name in names if name.startswith(f"{room}.")] for room in ROOMS}
    chosen = {room: sorted(draw.sample(own, min(options.sample, len(own)))) for room, own in by_room.items()}
    mutmut("run", "--max-children", "2", *(name for own in chosen.values() for name in own))
    verdicts = results()
    shares = {room: report(room, own, verdicts) for room, own in chosen.items() if own}
    return 0 if min(shares.values(), default=0.0) >= AT_LEAST else 1


def mutants() -> list[str]:
    """Every change; makes them first, and collects which test reaches what.

    Their names are read from mutmut's files: `mutmut print-time-estimates` would forget what reaches what.
    """
    # No change has this name, so that mutmut stops when it has made them all and timed the tests, with a failed assertion.
    mutmut("run", "none", quiet=True, check=False)
    files = sorted((ROOT / "mutants").rglob("*.py.meta"))
    return sorted(name for file in files for name in json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"])


def results() -> dict[str, str]:
    """What became of each change: killed, survived, timeout, ..."""
    lines = mutmut("results", "--all", "true", quiet=True).splitlines()
    return dict(line.strip().split(": ", 1) for line in lines if ": " in line)


def report(room: str, names: Sequence[str], verdicts: dict[str, str]) -> float:
    """Print a room's counts and what survived in it; returns the share that was noticed."""
    counts = Counter(verdicts.get(name, "not checked") for name in names)
    share = sum(counts[verdict] for verdict in NOTICED) / len(names)
    print(f"\n{room}: {share:.0%} of {len(names)} noticed ({', '.join(f'{n} {what}' for what, n in counts.items())})")
    for name in names:
        if verdicts.get(name) not in NOTICED:
            print(mutmut("show", name, quiet=True))
    return share


def mutmut(*words: str, quiet: bool = False, check: bool = True) -> str:
    """Run mutmut in the checkout; returns what it printed, where that is not shown. Where it is checked, a failure ends
    the command.
    """
    # Neither `python -m mutmut`, which it runs twice, nor its script, whose first line names one environment.
    command = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()", *words]
    pipe = subprocess.PIPE if quiet else None
    done = subprocess.run(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, check=False)
    if check and done.returncode:
        print(done.stdout or "", done.stderr or "", file=sys.stderr)
        raise SystemExit(f"mutmut {words[0]} ended with exit code {done.returncode}")
    return done.stdout or ""


if __name__ == "__main__":
    sys.exit(main())

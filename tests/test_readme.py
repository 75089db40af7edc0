"""The README's commands run, its files exist, and its words for make are make's."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
MARK = "<!-- run by tests/test_readme.py -->"
COMMAND_TIMEOUT = 240


def blocks(text: str) -> list[list[str]]:
    """The commands of every marked block, comments left out."""
    found = re.findall(re.escape(MARK) + r"\n```sh\n(.*?)```", text, re.DOTALL)
    return [
        [shlex.join(words) for line in block.splitlines() if (words := shlex.split(line, comments=True))]
        for block in found
    ]


def run(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run one command as written; of `make run`, which serves for ever, only the plan."""
    planned = f"{command} --dry-run" if command.startswith("make ") else command
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "MAKE", "MFLAGS"))}
    # A shell reads the README's commands, as a visitor's would.
    return subprocess.run(  # noqa: S602
        planned, shell=True, cwd=cwd, env=clean, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False
    )


@pytest.mark.slow
def test_the_commands_run_in_the_order_of_the_page(checkout: Path) -> None:
    commands = [command for block in blocks(README.read_text(encoding="utf-8")) for command in block]
    assert len(commands) >= 3
    for command in commands:
        done = run(command, checkout)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (checkout / "var" / "mine" / "telemetry" / "_delta_log").is_dir()
    assert (checkout / "var" / "mine" / "runs" / "_delta_log").is_dir()


def test_the_two_commands_are_the_ones_of_the_makefile(checkout: Path) -> None:
    text = README.read_text(encoding="utf-8")
    said = set(re.findall(r"\bmake ([a-z]+)", text))
    assert {"run", "test"} <= said
    assert {goal: done.stderr for goal in said if (done := run(f"make {goal}", checkout)).returncode} == {}


def test_what_the_page_links_to_is_there() -> None:
    text = README.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_paths_that_the_page_names_are_there() -> None:
    named = re.findall(
        r"`((?:app|data|forecasting|tests|docs)/[\w./-]*|streamlit_app\.py)`", README.read_text(encoding="utf-8")
    )
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_only_marked_blocks_are_read_and_comments_are_not() -> None:
    text = f"```sh\nrm -rf /\n```\n{MARK}\n```sh\necho 'a b'  # words\n# words\n\nmake run LAKE=x\n```\n"
    assert blocks(text) == [["echo 'a b'", "make run LAKE=x"]]


def test_a_command_that_fails_is_seen(tmp_path: Path) -> None:
    assert run("exit 3", tmp_path).returncode == 3

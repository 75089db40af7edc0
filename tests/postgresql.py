"""A PostgreSQL server for the tests of the store: a cluster in a temporary folder, thrown away after the test run.

It listens on a Unix socket in that folder alone, so that it needs no port and no password. Nothing is synced to disk.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

SUPERUSER = "postgres"
# Debian keeps the server's programs off the PATH, in one folder for each major version.
DEBIAN = Path("/usr/lib/postgresql")
UNSAFE_BUT_FAST = "-F -c full_page_writes=off -c synchronous_commit=off -c listen_addresses="


def programs() -> Path | None:
    """Folder of initdb and pg_ctl, of the newest version that is installed; None where there is none."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


def start() -> Path | None:
    """Make a cluster and start its server; returns its folder, None where PostgreSQL is not installed."""
    binaries = programs()
    if binaries is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="headroom-postgresql-"))
    account = _account()
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = str(folder / "data")
    _run(folder, str(binaries / "initdb"), "-D", data, "-U", SUPERUSER, "--auth=trust", "--no-sync", "-E", "UTF8")
    options = f"{UNSAFE_BUT_FAST} -k {folder}"
    _run(folder, str(binaries / "pg_ctl"), "-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start")
    return folder


def address(folder: Path) -> str:
    """URL of the server's maintenance database, where databases may be made."""
    return f"postgresql://{SUPERUSER}@/postgres?host={quote(str(folder), safe='')}"


def stop(folder: Path) -> None:
    """End the server and remove its folder."""
    binaries = programs()
    if binaries and (folder / "data" / "postmaster.pid").exists():
        _run(folder, str(binaries / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses to be run by root, who lends it another account."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _run(folder: Path, *command: str) -> None:
    account = _account()
    # A server that inherits a pipe keeps it open: its output goes to a file.
    with (folder / "commands.log").open("ab") as log:
        subprocess.run(
            command,
            check=True,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )

#!/usr/bin/env bash
# Bring .venv to the given locks: scripts/env.sh STAMP LOCK...
# Touches STAMP when done, so that make comes back only after a lock has changed. PYTHON names the interpreter (default: the newest found, 3.11 or later).
set -euo pipefail

stamp=$1
shift
venv=$(dirname "$stamp")

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if new_enough "$candidate"; then echo "$candidate"; return; fi
    done
    echo "Headroom needs Python 3.11 or later; found $(python3 --version 2>&1 || true). Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2
    return 1
}

make_venv() {
    local python
    python=$(find_python)
    echo "environment: $venv from $("$python" --version)"
    "$python" -m venv "$venv" && return
    rm -rf "$venv"
    echo "Python's venv module cannot make an environment here. On Debian and Ubuntu: apt-get install python3-venv" >&2
    return 1
}

# uv installs in seconds what takes pip a minute. It is pinned, hash and all, in the development lock; where it has no wheel, pip does the work.
bootstrap_uv() {
    local pin=$venv/uv.txt
    awk '/^[a-z]/ { wanted = /^uv==/ } wanted' requirements-dev.txt >"$pin"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --requirement "$pin"
}

install() {
    local arguments=(--quiet --require-hashes) lock
    for lock in "$@"; do arguments+=(--requirement "$lock"); done
    if [ -x "$venv/bin/uv" ] || bootstrap_uv; then
        "$venv/bin/uv" pip install --python "$venv/bin/python" "${arguments[@]}" && return
    fi
    echo "uv could not install the locks; pip tries, which takes about a minute" >&2
    "$venv/bin/python" -m pip install --disable-pip-version-check "${arguments[@]}"
}

new_enough "$venv/bin/python" || make_venv
echo "packages: $*"
install "$@"
touch "$stamp"

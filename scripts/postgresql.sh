#!/usr/bin/env bash
# Make sure that the tests of the store find a PostgreSQL server: look for one, else install Debian's where that is allowed.
# Never fails: tests/conftest.py decides what the lack of a server means (skipped tests; under CI, failures).
set -uo pipefail

[ -n "${HEADROOM_TEST_POSTGRES:-}" ] && exit 0
command -v initdb >/dev/null && exit 0
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "postgresql: none found, installing Debian's"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends postgresql >/dev/null
fi
exit 0

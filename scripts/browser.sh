#!/usr/bin/env bash
# Make sure that the browser tests find a Chrome or Chromium: look for one, else install Debian's where that is allowed.
# Never fails: tests/conftest.py decides what the lack of a browser means (one loud line; under CI, a failure).
set -uo pipefail

for name in "${HEADROOM_CHROME:-}" chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "$name" ] && command -v "$name" >/dev/null && exit 0
done
[ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # The shell is the browser without its own windows, in two thirds of the time. Mesa draws the maps.
    echo "browser: none found, installing Debian's chromium-headless-shell"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium-headless-shell libegl1 libegl-mesa0 libgl1-mesa-dri >/dev/null ||
        apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
exit 0

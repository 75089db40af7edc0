"""What does a page fetch from an object store the first time that it is opened?

    python -m benchmarks.object_store [--lake var/bench/demo]

The lake is copied to an S3 server that counts what it sends; each page is opened in a process of its own, with nothing
kept. One JSON line a page: requests, bytes, and the three tables that most of them are of. What a page has fetched is
kept on the local disk for all sessions of the process, so the next opening costs the versions of the tables alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from app.pages import VIEWS
from benchmarks.__main__ import BENCH
from tests.s3_server import running

ROOT = Path(__file__).resolve().parents[1]
# Every page as it opens, and the sheets of Capacity that read the most.
PAGES: tuple[tuple[str, dict[str, str]], ...] = (
    *((view.name, {}) for view in VIEWS),
    ("capacity", {"sheet": "failures"}),
    ("capacity", {"sheet": "cost"}),
)
OPEN = """
import json, logging, sys
logging.disable(logging.WARNING)
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash
test = AppTest.from_file(sys.argv[1], default_timeout=600)
test._page_hash = calc_hash(sys.argv[2])
test.query_params.update(json.loads(sys.argv[3]))
test.run()
sys.exit(str(test.exception[0].message) if test.exception else 0)
"""


def main() -> None:
    """Measure, and print the lines."""
    parser = argparse.ArgumentParser(description="Bytes that pages fetch from an object store.")
    parser.add_argument("--lake", type=Path, default=BENCH / "demo", help="a folder (default: %(default)s)")
    options = parser.parse_args()
    with running() as server:
        url = server.upload(options.lake, "lake")
        environment = {**os.environ, **server.settings, "HEADROOM_LAKE": url}
        for page, parameters in PAGES:
            server.count_anew()
            command = [sys.executable, "-c", OPEN, str(ROOT / "app" / "main.py"), page, json.dumps(parameters)]
            subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
            counts = server.counts()
            largest = sorted(((sent, table) for table, (_, sent) in counts["of"].items()), reverse=True)[:3]
            line = {
                "bench": "object_store",
                "page": page,
                **parameters,
                "requests": counts["requests"],
                "bytes": counts["bytes"],
                "largest": {table: sent for sent, table in largest},
            }
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

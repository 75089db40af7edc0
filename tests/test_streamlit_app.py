"""The door: what a server holds once it has started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_a_full_collection_passes_over_what_the_imports_made() -> None:
    """Streamlit and Python collect while every session waits; the imports leave 230,000 objects that never go."""
    counted = "import gc, streamlit_app; print(gc.get_freeze_count(), len(gc.get_objects()))"
    done = subprocess.run([sys.executable, "-c", counted], cwd=ROOT, capture_output=True, text=True, check=True)
    frozen, left = map(int, done.stdout.split())
    assert frozen > 100_000
    assert left < 10_000

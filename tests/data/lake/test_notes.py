"""Side files of a lake: one that cannot be read counts as none, wherever it is read."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from data.lake.maintenance import maintain_if_due
from data.lake.tables import Lake
from data.queries.metrics import exposition
from forecasting.__main__ import main as forecasting

ODD = [b"null", b"[1, 2]", b"3", b'"text"', b"", b"{", b"\xff\xfe\x00", b"\x00" * 64]


def with_notes(folder: Path, content: bytes) -> Lake:
    """A lake of one site whose every note holds this."""
    lake = Lake(folder / "lake")
    lake.replace("sites", lake.read("sites"))
    for name in ("refresh", "ingest", "maintenance", "rollups"):
        path = Path(lake.url, "_notes", f"{name}.json")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return lake


@pytest.mark.parametrize("content", ODD, ids=repr)
def test_a_note_that_holds_no_object_counts_as_none(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    lake = with_notes(tmp_path, content)
    with caplog.at_level(logging.WARNING):
        assert lake.read_note("refresh") is None
    assert "_notes/refresh.json" in caplog.text
    assert b"headroom_ingest_seconds" not in exposition(lake.pin())
    assert not maintain_if_due(lake)
    lake.write_note("refresh", {"state": "done"})
    assert lake.read_note("refresh") == {"state": "done"}


@pytest.mark.parametrize("content", [b"null", b"{}", b'{"state": ["x"]}', b'{"seconds": "long"}'], ids=repr)
def test_commands_and_metrics_do_without_what_a_note_lacks(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = with_notes(tmp_path, content)
    assert b"headroom_ingest_seconds" not in exposition(lake.pin())
    assert forecasting(["status", "--lake", lake.url]) == 0
    assert "has no published run" in capsys.readouterr().out

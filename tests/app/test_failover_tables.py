"""The failover table of the server, named by a setting."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from app.cached.failures import FAILOVER_SETTING, server_failover
from data.schema.errors import SettingError

SITES = pd.DataFrame({"site_id": ["fra-01", "ams-01", "gru-01"]})


def test_the_server_s_own_table_is_named_by_a_setting_and_read_anew_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FAILOVER_SETTING, raising=False)
    assert server_failover(SITES) is None
    path = tmp_path / "failover.csv"
    monkeypatch.setenv(FAILOVER_SETTING, str(path))
    with pytest.raises(SettingError, match="cannot be read: No such file or directory"):
        server_failover(SITES)
    path.write_text("site_id,helper_site_id,weight\nfra-01,ams-01,2\nfra-01,gru-01,0.5\n")
    found = server_failover(SITES)
    assert found is not None
    assert (found.name, len(found.rows)) == ("failover.csv", 2)
    assert server_failover(SITES) is found
    path.write_text("site_id,helper_site_id,weight\nfra-01,ams-01,1\n")
    again = server_failover(SITES)
    assert again is not None
    assert again.rows == (("fra-01", "ams-01", 1.0),)
    path.write_text("site_id,helper_site_id,weight\nfra-01,lhr-99,1\n")
    with pytest.raises(SettingError, match="lhr-99"):
        server_failover(SITES)

"""`axiom declare` and `axiom key`: once, and again without harm; and the address on which endpoints are served."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from axiom.health import HEALTH_HOST, Finding, HealthServer
from domain.errors import InputError
from domain.topics import TOPICS


def axiom(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "axiom", *arguments], capture_output=True, text=True, check=False, timeout=100
    )


def test_topics_are_declared_once_and_checked_again(own_kafka: Any) -> None:  # noqa: ANN401
    for _ in range(2):
        done = axiom("declare", "--bootstrap", own_kafka.bootstrap, "--partitions", "3", "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)["topics"]
        assert found == {topic.name: 3 if topic.is_co_partitioned else 1 for topic in TOPICS}
    other = axiom("declare", "--bootstrap", own_kafka.bootstrap, "--partitions", "5")
    assert other.returncode == 2
    assert "has 3 partitions, expected 5" in other.stderr


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    assert axiom("key", str(path)).returncode == 0
    key = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(key) >= 16
    done = axiom("key", str(path))
    assert path.read_bytes() == key
    assert key.hex() not in done.stdout
    assert axiom("key", str(tmp_path / "none" / "seal.key")).returncode == 2


@pytest.mark.parametrize("host", ["", "127.0.0.2"])
def test_endpoints_are_on_loopback_or_where_they_are_told_to_be(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HEALTH_HOST, host)
    well = Finding(is_well=True, facts={"is": "well"})
    server = HealthServer(0, live=lambda: well, ready=lambda: well, registry=CollectorRegistry())
    server.start()
    with urllib.request.urlopen(f"http://{host or '127.0.0.1'}:{server.port}/live", timeout=5) as answer:
        assert json.loads(answer.read()) == {"is": "well"}
    server.stop()


def test_an_address_that_is_not_ours_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HEALTH_HOST, "203.0.113.7")  # RFC 5737: nobody has it
    well = Finding(is_well=True, facts={})
    with pytest.raises(InputError, match="health port cannot be used"):
        HealthServer(0, live=lambda: well, ready=lambda: well, registry=CollectorRegistry())
    assert os.environ[HEALTH_HOST]

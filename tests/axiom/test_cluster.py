"""Where a process on Kafka finds its settings and its secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from axiom.cluster import SEAL_KEY_FILE, cluster_of, seal_key, settings_from
from domain.errors import SettingsError
from streams.worker_settings import WorkerSettings


def test_the_environment_sets_what_the_command_does_not() -> None:
    cluster = cluster_of("a:1", {"AXIOM_KAFKA__ACKS": "1", "AXIOM_KAFKA__BOOTSTRAP": "b:2", "AXIOM_SET_RUN__SEED": "3"})
    assert (cluster.settings.bootstrap, cluster.settings.acks) == ("a:1", "1")
    assert cluster_of("", {"AXIOM_KAFKA__BOOTSTRAP": "b:2"}).settings.bootstrap == "b:2"
    assert settings_from(WorkerSettings, "WORKER", {"AXIOM_WORKER__BEAT_S": "0.5"}).beat_s == 0.5


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"AXIOM_WORKER__BEATS": "1"}, "beats"),
        ({"AXIOM_WORKER__BEAT_S": "often"}, "beat_s"),
        ({"AXIOM_WORKER__BEAT_S": "0"}, "worker.beat_s"),
        ({"AXIOM_WORKER__HEARTBEAT_S": "4"}, "worker.heartbeat_s"),
    ],
)
def test_a_variable_that_cannot_be_is_refused_by_name(environment: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        settings_from(WorkerSettings, "WORKER", environment)


def test_a_bootstrap_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="host:port"):
        cluster_of("nowhere", {})


def test_the_seal_key_is_read_from_a_file_that_nobody_else_can_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"k" * 32)
    path.chmod(0o600)
    assert seal_key({SEAL_KEY_FILE: str(path)}) == b"k" * 32
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="read by others"):
        seal_key({SEAL_KEY_FILE: str(path)})


@pytest.mark.parametrize("environment", [{}, {SEAL_KEY_FILE: "/nowhere/at/all"}])
def test_an_absent_seal_key_is_refused_by_name(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=SEAL_KEY_FILE):
        seal_key(environment)

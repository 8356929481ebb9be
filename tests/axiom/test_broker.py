"""A local Apache Kafka starts, stops, is found again, and says clearly why it cannot."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from axiom import broker, broker_jars
from domain.errors import InputError, Unavailable


def kafka(*arguments: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    """Run `axiom kafka`: exit status, the JSON object, and what went to standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "axiom", "kafka", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=100,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}, done.stderr


@pytest.fixture
def data(tmp_path: Path, kafka_is_there: None) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    broker.stop(folder, deadline_s=0.0)


@pytest.mark.slow
def test_it_is_started_once_found_again_killed_and_comes_back_on_its_port(data: Path) -> None:
    assert kafka("status", "--data", str(data))[0] == 1
    code, started, _ = kafka("start", "--data", str(data))
    assert code == 0
    assert started["is_running"]
    found = broker.status(data)
    assert found is not None
    assert (found.pid, found.bootstrap) == (started["pid"], started["bootstrap"])
    code, _, error = kafka("start", "--data", str(data), "--port", "1")
    assert code == 2
    assert "broker runs on another port" in error
    os.kill(found.pid, signal.SIGKILL)
    code, back, _ = kafka("start", "--data", str(data))
    assert (code, back["bootstrap"]) == (0, started["bootstrap"])
    assert back["pid"] != started["pid"]
    assert kafka("status", "--data", str(data))[1]["answers"]
    assert kafka("stop", "--data", str(data))[:2] == (0, {"was_running": True, "is_clean": True})
    assert broker.status(data) is None


def test_a_port_that_is_taken_is_named(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind((broker.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match="port is taken") as refused:
            broker.start(data, environment=os.environ, is_ready=lambda _: True, port=port)
    assert refused.value.fields["value"] == port


def test_a_broker_that_dies_at_its_start_tells_its_last_words(data: Path) -> None:
    with pytest.raises(Unavailable, match="died at its start") as died:
        broker.start(
            data, environment=os.environ, is_ready=lambda _: True, properties={"metric.reporters": "no.such.Reporter"}
        )
    assert any("no.such.Reporter" in line for line in died.value.fields["log"])  # type: ignore[attr-defined]
    assert broker.status(data) is None


def test_a_broker_that_does_not_answer_is_stopped_at_the_deadline(data: Path) -> None:
    with pytest.raises(Unavailable, match="did not answer in time"):
        broker.start(data, environment=os.environ, is_ready=lambda _: False, deadline_s=6.0)
    assert broker.status(data) is None


def test_a_process_with_the_number_of_a_dead_broker_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "broker.json").write_text(
        json.dumps(
            {
                "bootstrap": "127.0.0.1:1",
                "controller": 2,
                "data": str(tmp_path),
                "pid": os.getpid(),
                "born": "long ago",
                "version": "4.2.0",
            }
        )
    )
    assert broker.status(tmp_path) is None
    assert broker.stop(tmp_path)


def test_a_torn_state_file_is_no_broker(tmp_path: Path) -> None:
    (tmp_path / "broker.json").write_text('{"bootstrap": "127.0')
    assert broker.status(tmp_path) is None


def test_a_machine_without_java_or_maven_is_told_what_to_install(tmp_path: Path) -> None:
    bare = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    with pytest.raises(Unavailable, match="Java is missing: `make system`"):
        broker_jars.java(bare)
    with pytest.raises(Unavailable, match="Maven is missing: `make system`"):
        broker_jars.jars(bare, lambda _: None)


def stand_in(folder: Path, name: str, script: str) -> dict[str, str]:
    """An environment whose path holds one program."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/bin:/usr/bin", "HOME": str(folder)}


def test_a_java_that_is_too_old_is_named(tmp_path: Path) -> None:
    environment = stand_in(tmp_path, "java", "echo 'openjdk version \"1.8.0_412\"' >&2")
    with pytest.raises(Unavailable, match="too old") as refused:
        broker_jars.java(environment)
    assert "1.8.0_412" in str(refused.value)


def test_a_download_that_fails_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    environment = stand_in(tmp_path, "mvn", "echo '[ERROR] Could not transfer artifact: checksum differs'; exit 1")
    with pytest.raises(Unavailable, match="checksum differs"):
        broker_jars.jars(environment, lambda _: None)
    assert not (broker_jars.cache(environment) / "libs").exists()

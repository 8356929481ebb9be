"""The endpoints say what the probes find, and nothing else is served."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from axiom.health import Finding, HealthServer
from axiom.telemetry import PrometheusMetrics
from domain.errors import InputError


class Process:
    """What the probes see."""

    def __init__(self) -> None:
        self.is_live = self.is_ready = True
        self.metrics = PrometheusMetrics()


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def server(process: Process) -> Iterator[HealthServer]:
    served = HealthServer(
        0,
        live=lambda: Finding(process.is_live, {"pid": 1}),
        ready=lambda: Finding(process.is_ready, {"partitions": {0: "owning"}}),
        registry=process.metrics.registry,
    )
    served.start()
    yield served
    served.stop()


def ask(server: HealthServer, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize(("path", "field"), [("/live", "is_live"), ("/ready", "is_ready")])
def test_a_probe_answers_200_or_503(server: HealthServer, process: Process, path: str, field: str) -> None:
    assert ask(server, path)[0] == 200
    setattr(process, field, False)
    status, body = ask(server, path)
    found: dict[str, Any] = orjson.loads(body)
    assert status == 503
    assert found in ({"pid": 1}, {"partitions": {"0": "owning"}})


def test_metrics_are_in_the_format_of_prometheus(server: HealthServer, process: Process) -> None:
    process.metrics.gauge("worker.owned", 3, "desk")
    status, body = ask(server, "/metrics?name=any")
    assert status == 200
    assert b'axiom_worker_owned{label="desk"} 3.0' in body


def test_other_paths_are_not_there(server: HealthServer) -> None:
    status, body = ask(server, "/etc/passwd")
    assert status == 404
    assert orjson.loads(body) == {"known": ["/live", "/ready", "/metrics"]}


def test_a_taken_port_is_refused_by_name(server: HealthServer, process: Process) -> None:
    def probe() -> Finding:
        return Finding(True, {})

    with pytest.raises(InputError, match=r"health port cannot be used.*health_port"):
        HealthServer(server.port, live=probe, ready=probe, registry=process.metrics.registry)

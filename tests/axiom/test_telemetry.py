"""Logs are JSON without secrets, metrics have their names and stay on this machine."""

from __future__ import annotations

import ast
import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
import structlog
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

import domain.metrics
from axiom.telemetry import LOOPBACK, REDACTED, PrometheusMetrics, configure_logs, redact
from domain.metrics import MetricName

NAMES: tuple[MetricName, ...] = get_args(MetricName)


def kinds() -> dict[str, str]:
    """Kind of each metric as its comment in `domain.metrics` says."""
    source = Path(domain.metrics.__file__).read_text(encoding="utf-8")
    return {name: kind for kind, name in re.findall(r"# (counter|gauge|histogram).*\n\s+\"([a-z_.]+)\"", source)}


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_is_registered_as_what_its_comment_says(name: MetricName) -> None:
    metrics = PrometheusMetrics()
    kind = kinds()[name]
    if kind == "counter":
        metrics.count(name, 2.0, "a")
        metrics.count(name, 3.0, "a")
    elif kind == "gauge":
        metrics.gauge(name, -1.0, "a")
        metrics.gauge(name, 5.0, "a")
    else:
        metrics.observe(name, 2.0, "a")
        metrics.observe(name, 3.0, "a")
    families = {
        family.name: family for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
    }
    family = families["axiom_" + name.replace(".", "_")]
    assert family.type == kind
    total = next(sample for sample in family.samples if sample.name.endswith(("_total", "_sum")) or kind == "gauge")
    assert (total.labels, total.value) == ({"label": "a"}, 5.0)


def test_every_name_is_told_once() -> None:
    assert sorted(kinds()) == sorted(NAMES)
    wire = {name.replace(".", "_") for name in NAMES}
    assert len(wire) == len(NAMES)


def reports() -> Iterator[tuple[str, str]]:
    """Every place in the packages that reports a metric: its name, and the kind that the method is for."""
    method = {"count": "counter", "gauge": "gauge", "observe": "histogram"}
    root = Path(domain.metrics.__file__).parents[1]
    for package in ("streams", "store", "axiom"):
        for path in sorted((root / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Attribute(attr=name), args=[ast.Constant(value=str(metric)), *_]):
                        if name in method and metric in NAMES:
                            yield metric, method[name]
                    case _:
                        pass


def test_every_metric_is_reported_by_some_code_as_what_it_is() -> None:
    assert dict(reports()) == kinds()
    assert all(kinds()[metric] == kind for metric, kind in reports())


def test_two_runs_in_one_process_count_apart() -> None:
    one, two = PrometheusMetrics(), PrometheusMetrics()
    one.count("orders.sent")
    assert b'axiom_orders_sent_total{label=""} 1.0' in generate_latest(one.registry)
    assert b"axiom_orders_sent_total{" not in generate_latest(two.registry)


def test_metrics_are_served_on_loopback_alone() -> None:
    """127.0.0.2 is this machine too: a server on all addresses would answer there."""
    metrics = PrometheusMetrics()
    metrics.count("orders.sent")
    port = metrics.serve(0)
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=10) as answer:
        assert b'axiom_orders_sent_total{label=""} 1.0' in answer.read()
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.2:{port}/metrics", timeout=10)
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))


# --- logs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def _own_logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_secrets_are_replaced_wherever_they_stand() -> None:
    found = redact(
        None,
        "info",
        {
            "event": "x", "password": "p", "api_key": "k", "Apikey": "k", "AUTH_TOKEN": "t", "client_secret": "s",
            "settings": {"credentials": "c", "size": 5, "deep": [{"seal_key": b"x"}]},
            "gate_bypasses": 0, "user": "ann",
        },
    )  # fmt: skip
    assert found == {
        "event": "x", "password": REDACTED, "api_key": REDACTED, "Apikey": REDACTED, "AUTH_TOKEN": REDACTED,
        "client_secret": REDACTED, "settings": {"credentials": REDACTED, "size": 5, "deep": [{"seal_key": REDACTED}]},
        "gate_bypasses": 0, "user": "ann",
    }  # fmt: skip


@pytest.mark.usefixtures("_own_logs")
def test_log_is_one_json_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with configure_logs(path) as stream:
        log = structlog.get_logger()
        log.debug("not.shown")
        log.warning("quote.rejected", osi="X", where=Path("a"), api_key="hush")
        try:
            raise ValueError("odd")
        except ValueError:
            log.exception("stage.failed")
        stream.flush()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["quote.rejected", "stage.failed"]
    assert (lines[0]["level"], lines[0]["osi"], lines[0]["api_key"], lines[0]["where"]) == (
        "warning",
        "X",
        REDACTED,
        "a",
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", lines[0]["timestamp"])
    assert "ValueError: odd" in lines[1]["exception"]


@pytest.mark.usefixtures("_own_logs")
def test_logs_go_to_standard_error_where_there_is_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    structlog.get_logger().info("run.started", run="r")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["run"] == "r"


@pytest.mark.usefixtures("_own_logs")
def test_log_of_a_resumed_run_goes_on_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for name in ("one", "two"):
        with configure_logs(path):
            structlog.get_logger().info(name)
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["one", "two"]

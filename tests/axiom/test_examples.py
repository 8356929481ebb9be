"""The examples of docs/subscribers.md run as they are printed, against a real Kafka, with stock clients alone."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pytest

from axiom import broker_jars
from domain.events import GreeksComputed

CHECKOUT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = CHECKOUT / "examples"
Publish = Callable[[Iterable[Any]], None]


class Events(Protocol):
    symbol: str

    def greeks(self, ts: int, contracts: int = 3) -> GreeksComputed: ...


def run(*command: str | Path, **environment: str) -> bytes:
    done = subprocess.run(
        [str(part) for part in command], env=os.environ | environment, capture_output=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def expected(symbol: str) -> list[str]:
    lines = []
    for ts in (41, 42):
        lines.append(f"{symbol} {ts} spot 750 contracts 5")
        lines += [
            f"  contract {row}  "
            + "  ".join(f"{name} {row + ts}" for name in ("theo", "vol", "delta", "gamma", "vega", "theta"))
            for row in range(3)
        ]
    return lines


def test_python_reads_the_greeks(kafka: str, publish: Publish, market: Events) -> None:
    publish([market.greeks(41, contracts=5), market.greeks(42, contracts=5)])
    out = run(sys.executable, EXAMPLES / "greeks.py", kafka, market.symbol, "2").decode()
    assert out.replace("750.0", "750").splitlines() == expected(market.symbol)


def test_the_python_example_takes_nothing_of_ours() -> None:
    tree = ast.parse((EXAMPLES / "greeks.py").read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported - set(sys.stdlib_module_names) == {"aiokafka", "pyarrow"}


def test_node_reads_the_greeks(
    kafka: str, publish: Publish, market: Events, node_modules: Callable[[Path], Path], tmp_path: Path
) -> None:
    modules = node_modules(EXAMPLES / "node")
    (tmp_path / "node_modules").symlink_to(modules)
    shutil.copy(EXAMPLES / "node" / "greeks.mjs", tmp_path)
    publish([market.greeks(41, contracts=5), market.greeks(42, contracts=5)])
    out = run("node", tmp_path / "greeks.mjs", kafka, market.symbol, "2").decode()
    assert out.splitlines() == expected(market.symbol)


@pytest.fixture
def libs(kafka_is_there: None) -> str:
    return str(broker_jars.jars(os.environ, lambda _: None))


def test_the_console_consumer_reads_keys_and_headers(kafka: str, publish: Publish, market: Events, libs: str) -> None:
    publish([market.greeks(41), market.greeks(42)])
    out = run(EXAMPLES / "greeks.sh", "headers", kafka, "1000", KAFKA_LIBS=libs).decode()
    ours = [line for line in out.splitlines() if line.endswith(market.symbol)]
    assert len(ours) == 2
    assert "schema:GreeksComputed,version:1,content-type:application/vnd.apache.arrow.stream" in ours[0]


def test_a_payload_of_the_console_consumer_is_an_arrow_stream(
    kafka: str, publish: Publish, market: Events, libs: str
) -> None:
    publish([market.greeks(41)])
    payload = run(EXAMPLES / "greeks.sh", "payload", kafka, KAFKA_LIBS=libs)
    assert pa.ipc.open_stream(payload).read_all().column_names[:3] == ["contract", "theo", "theo_error"]

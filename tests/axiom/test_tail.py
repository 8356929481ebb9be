"""`axiom tail --bootstrap`: a live topic on a real Kafka, one JSON object a line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import pytest

from axiom.tail import topic_of
from domain.errors import InputError
from domain.events import GreeksComputed

Publish = Callable[[Iterable[Any]], None]


class Events(Protocol):
    symbol: str

    def greeks(self, ts: int, contracts: int = 3) -> GreeksComputed: ...


def tail(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "axiom", "tail", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def lines(process: subprocess.Popen[str], code: int = 0) -> list[dict[str, Any]]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    return [json.loads(line) for line in out.splitlines()]


def test_what_was_kept_is_printed_of_one_underlying_alone(kafka: str, publish: Publish, market: Events) -> None:
    publish([market.greeks(ts, contracts=9) for ts in range(1, 6)])
    command = ("greeks", "--underlying", market.symbol.lower(), "--bootstrap", kafka, "--from-begin")
    found = lines(tail(*command, "--limit", "4", "--rows", "2"))
    assert [line["ts_event"] for line in found] == [1, 2, 3, 4]
    assert {line["underlying"] for line in found} == {market.symbol}
    first = found[0]
    assert (first["event"], first["topic"], first["rows"]) == ("GreeksComputed", "pricing.greeks", 9)
    assert first["frame"]["contract"] == [0, 1]
    assert [line["offset"] for line in found] == sorted({line["offset"] for line in found})


def test_what_comes_from_now_on_is_printed_until_it_is_interrupted(
    kafka: str, publish: Publish, market: Events
) -> None:
    publish([market.greeks(1)])
    process = tail("greeks", "--underlying", market.symbol, "--bootstrap", kafka)
    assert process.stdout is not None
    came = threading.Event()
    found: list[str] = []

    def read() -> None:
        found.append(process.stdout.readline())  # type: ignore[union-attr]  # it is a pipe
        came.set()

    threading.Thread(target=read, daemon=True).start()
    for ts in range(2, 200):  # it says nothing when it begins to listen: one of these comes after that
        publish([market.greeks(ts)])
        if came.wait(0.1):
            break
    assert json.loads(found[0])["ts_event"] > 1, "the first was there before"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


def test_a_missing_topic_is_named(own_kafka: Any) -> None:  # noqa: ANN401
    process = tail("greeks", "--bootstrap", own_kafka.bootstrap)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "pricing.greeks: is missing" in err


@pytest.mark.parametrize(("name", "topic"), [("greeks", "pricing.greeks"), ("orders.fills", "orders.fills")])
def test_a_topic_is_found_by_the_end_of_its_name(name: str, topic: str) -> None:
    assert topic_of(name).name == topic


@pytest.mark.parametrize("name", ["events", "nothing"])  # risk.events and ops.events
def test_a_name_of_no_topic_or_of_two_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="unknown topic"):
        topic_of(name)

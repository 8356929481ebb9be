"""`axiom cache` between a real Kafka and a real Redis: the last values are there, whatever was killed in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pytest

from domain.codec import decode
from domain.events import ChainListed, GreeksComputed, NbboUpdated, PositionChanged
from store.cache import RedisCache
from store.cache_settings import CacheSettings
from store.cached import Cached, Kind
from streams.messages import Headers

Publish = Callable[[Iterable[Any]], None]


class Events(Protocol):
    symbol: str

    def chain(self, contracts: int = 2) -> ChainListed: ...

    def nbbo(self, ts: int, contracts: Iterable[int], bid: int) -> NbboUpdated: ...

    def greeks(self, ts: int, contracts: int = 3) -> GreeksComputed: ...

    def position(self, ts: int, contract: int, quantity: int) -> PositionChanged: ...


class Server(Protocol):
    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...


class Process:
    """One `axiom cache`."""

    def __init__(self, kafka: str, url: str, log: Path, **environment: str) -> None:
        self._log = log
        self.process = subprocess.Popen(
            [sys.executable, "-m", "axiom", "cache", "--bootstrap", kafka, "--redis", url, "--log", str(log)],
            env=os.environ | environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self) -> None:
        self.process.kill()
        if self.process.stderr is not None and not self.process.stderr.closed:
            self.process.communicate()

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        port = next(line["health_port"] for line in reversed(self.said()) if line["event"] == "cache.started")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@pytest.fixture
def start(kafka: str, redis_server: Server, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts processes that end with the test."""
    started: list[Process] = []

    def start(**environment: str) -> Process:
        log = tmp_path / f"cache-{len(started)}.jsonl"
        started.append(Process(kafka, redis_server.url, log, **environment))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.kill()


@pytest.fixture
def cache(redis_server: Server) -> Iterator[RedisCache]:
    reader = RedisCache.of(CacheSettings(url=redis_server.url), {})
    yield reader
    reader.close()


def wait_for(cache: RedisCache, symbol: str, kind: Kind, is_right: Callable[[Cached], bool]) -> Cached:
    until = time.monotonic() + 30
    while (found := cache.get(symbol, kind)) is None or not is_right(found):
        assert time.monotonic() < until, f"{kind} did not come: {found and (found.sequence, found.ts_event)}"
        time.sleep(0.02)
    return found


def rows(value: Cached) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = pa.ipc.open_stream(value.payload).read_all().to_pydict()
    return found


def held(value: Cached) -> dict[int, int]:
    found = rows(value)
    return dict(zip(found["contract"], found["quantity"], strict=True))


def test_last_values_come_from_before_and_after_the_start(
    publish: Publish, market: Events, start: Callable[..., Process], cache: RedisCache
) -> None:
    publish([market.chain(), market.nbbo(2, [0, 1], 100), market.position(3, 0, 5), market.greeks(4)])
    process = start()
    wait_for(cache, market.symbol, "greeks", lambda value: value.ts_event == 4)
    publish([market.nbbo(5, [1], 200), market.position(6, -1, -70), *(market.greeks(ts) for ts in range(7, 30))])
    greeks = wait_for(cache, market.symbol, "greeks", lambda value: value.ts_event == 29)
    assert decode(greeks.schema, greeks.version, greeks.payload) == market.greeks(29)
    nbbo = wait_for(cache, market.symbol, "nbbo", lambda value: value.ts_event == 5)
    assert rows(nbbo)["bid"] == [100, 200]
    assert held(wait_for(cache, market.symbol, "positions", lambda value: value.ts_event == 6)) == {-1: -70, 0: 5}
    assert cache.get(market.symbol, "chain") is not None
    assert [process.ask(path)[0] for path in ("/live", "/ready")] == [200, 200]
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(10) == 0
    assert process.said()[-1]["event"] == "cache.stopped"


def test_what_was_sent_again_or_by_a_replaced_owner_does_not_count(
    publish: Publish, market: Events, start: Callable[..., Process], cache: RedisCache
) -> None:
    def by(epoch: int, sequence: int) -> Headers:
        return Headers(f"quote-{market.symbol}-{epoch}", sequence, group=f"quote-{market.symbol}", epoch=epoch)

    publish([market.chain()])
    start()
    publish(
        [
            (market.position(2, 0, 5), by(10, 0)),
            (market.position(3, 0, 6), by(10, 1)),
            (market.position(2, 0, 5), by(10, 0)),
        ]
    )
    assert held(wait_for(cache, market.symbol, "positions", lambda value: value.ts_event == 3)) == {0: 6}
    publish([(market.position(4, 0, 7), by(20, 0)), (market.position(5, 0, 66), by(10, 2)), market.greeks(9)])
    wait_for(cache, market.symbol, "greeks", lambda value: value.ts_event == 9)
    assert held(wait_for(cache, market.symbol, "positions", lambda value: value.ts_event == 4)) == {0: 7}


@pytest.mark.parametrize("is_emptied", [False, True], ids=["cache stays", "cache is emptied"])
def test_a_killed_process_goes_on_where_the_cache_stands(
    publish: Publish,
    market: Events,
    start: Callable[..., Process],
    cache: RedisCache,
    redis_server: Server,
    is_emptied: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    publish([market.chain(), market.nbbo(2, [0], 100), market.position(3, 4, 5)])
    first = start()
    wait_for(cache, market.symbol, "positions", lambda value: value.ts_event == 3)
    first.kill()
    if is_emptied:
        redis_server.kill()
        redis_server.start()
    publish([market.nbbo(4, [7], 300), market.position(5, 2, -1)])
    start()
    assert held(wait_for(cache, market.symbol, "positions", lambda value: value.ts_event == 5)) == {2: -1, 4: 5}
    assert rows(wait_for(cache, market.symbol, "nbbo", lambda value: value.ts_event == 4))["bid"] == [100, 300]


def test_two_processes_agree(
    publish: Publish, market: Events, start: Callable[..., Process], cache: RedisCache
) -> None:
    publish([market.chain()])
    start()
    start()
    publish([market.nbbo(ts, [ts % 5], ts) for ts in range(2, 200)])
    value = wait_for(cache, market.symbol, "nbbo", lambda value: value.ts_event == 199)
    assert rows(value)["bid"] == [195, 196, 197, 198, 199]


def test_an_outage_of_the_cache_is_told_and_mended(
    publish: Publish, market: Events, start: Callable[..., Process], cache: RedisCache, redis_server: Server
) -> None:
    publish([market.chain(), market.position(2, 4, 5)])
    process = start()
    wait_for(cache, market.symbol, "positions", lambda value: value.ts_event == 2)
    redis_server.kill()
    publish([market.position(3, 4, 6)])
    until = time.monotonic() + 20
    while process.ask("/ready")[0] != 503:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert process.ask("/live")[0] == 200
    assert "cache" in process.ask("/ready")[1]
    redis_server.start()
    assert held(wait_for(cache, market.symbol, "positions", lambda value: value.ts_event == 3)) == {4: 6}
    wait_for(cache, market.symbol, "chain", lambda _: True)  # what it lost is written again


def test_it_ends_with_a_clear_word_where_it_cannot_work(own_kafka: Any, redis_servers: Any, tmp_path: Path) -> None:  # noqa: ANN401
    guarded = redis_servers("--requirepass", "sesame")
    for environment, said in (
        ({}, "cache refuses us"),
        ({"AXIOM_REDIS_PASSWORD": "sesame"}, "market.nbbo: is missing"),
        ({"AXIOM_SET_CACHE__TTL_S": "0"}, "cache.ttl_s"),
    ):
        process = Process(own_kafka.bootstrap, guarded.url, tmp_path / "log.jsonl", **environment).process
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert said in err
        assert "Traceback" not in err
        assert "sesame" not in err

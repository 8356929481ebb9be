"""A run keeps the cache up to date: the same run with it, without it, and with one that is away; also after a kill."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain.codec import decode
from store.cache import RedisCache
from store.cache_settings import CacheSettings
from store.cached import KINDS, Cached, Kind


class Command(Protocol):
    runs: Path

    def json(self, *arguments: str, code: int = 0, **extra: str) -> dict[str, Any]: ...

    def start(self, *arguments: str, **extra: str) -> subprocess.Popen[str]: ...


class Server(Protocol):
    @property
    def url(self) -> str: ...

    def kill(self) -> None: ...


def read(server: Server, underlying: str = "SYN") -> dict[Kind, Cached]:
    cache = RedisCache.of(CacheSettings(url=server.url), {})
    found = {kind: value for kind in KINDS if (value := cache.get(underlying, kind)) is not None}
    cache.close()
    return found


def positions(value: Cached) -> dict[int, int]:
    table = pa.ipc.open_stream(value.payload).read_all().to_pydict()
    return dict(zip(table["contract"], table["quantity"], strict=True))


def held(folder: Path) -> dict[int, int]:
    """What the run's own tables say that it holds at its end."""
    table = pq.read_table(folder / "tables" / "positions.parquet").to_pydict()
    return {c: quantity for c, quantity in zip(table["contract"], table["quantity"], strict=True) if quantity}


def test_a_run_leaves_its_last_values_and_is_the_same_run(
    axiom: Command, finished: tuple[Command, dict[str, Any]], redis_server: Server
) -> None:
    summary = axiom.json("run", "--id", "cached", AXIOM_SET_CACHE__URL=redis_server.url)
    assert summary["digest"] == finished[1]["digest"]
    found = read(redis_server)
    assert set(found) == set(KINDS)
    for kind in ("chain", "underlying", "nbbo", "greeks", "exposure", "pnl", "session"):
        value = found[kind]
        event = decode(value.schema, value.version, value.payload)
        assert (event.underlying, event.ts_event) == ("SYN", value.ts_event)
    assert positions(found["positions"]) == held(axiom.runs / "cached")
    greeks = pa.ipc.open_stream(found["greeks"].payload).read_all()
    assert greeks.num_rows == 200
    assert pa.ipc.open_stream(found["quotes"].payload).read_all().num_rows == 0, "a run pulls its quotes at its end"


def test_a_killed_run_goes_on_and_leaves_what_an_unbroken_one_leaves(axiom: Command, redis_server: Server) -> None:
    whole = axiom.json("run", "--id", "whole", AXIOM_SET_CACHE__URL=redis_server.url)
    expected = read(redis_server)
    process = axiom.start("run", "--id", "killed", AXIOM_SET_CACHE__URL=redis_server.url)
    cache = RedisCache.of(CacheSettings(url=redis_server.url), {})
    until = time.monotonic() + 60
    while cache.log_of("SYN") != "run/killed" or cache.get("SYN", "positions") is None:
        assert time.monotonic() < until, "the run did not reach the cache"
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert axiom.json("resume", "killed")["digest"] == whole["digest"]
    assert cache.log_of("SYN") == "run/killed"
    found = read(redis_server)
    assert set(found) == set(expected)
    for kind in KINDS:
        assert found[kind].sequence == expected[kind].sequence, kind
        if kind in {"positions", "nbbo", "quotes"}:
            tables = [
                pa.ipc.open_stream(value.payload).read_all().to_pydict() for value in (found[kind], expected[kind])
            ]
            assert tables[0] == tables[1], kind
    cache.close()


def test_a_cache_that_is_away_changes_nothing(
    axiom: Command, finished: tuple[Command, dict[str, Any]], redis_server: Server
) -> None:
    redis_server.kill()
    summary = axiom.json("run", "--id", "away", AXIOM_SET_CACHE__URL=redis_server.url)
    assert summary["digest"] == finished[1]["digest"]
    log = (axiom.runs / "away" / "log.jsonl").read_text()
    assert log.count("cache.unavailable") == 1


@pytest.mark.parametrize("url", ["http://nowhere", "redis://:geheim@127.0.0.1"])
def test_an_address_that_cannot_be_one_is_refused_before_the_run(axiom: Any, url: str) -> None:  # noqa: ANN401  # call is not in Command
    said = axiom.call("run", "--id", "refused", code=2, AXIOM_SET_CACHE__URL=url)
    assert "cache.url" in said
    assert "geheim" not in said
    assert not (axiom.runs / "refused").exists()

"""The laws of the last-value cache, on a real Redis and the stand-in alike; and what Redis adds: outages and logons."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputError, SettingsError, Unavailable
from store.cache import RedisCache
from store.cache_settings import CacheSettings
from store.cached import KINDS, MAX_SEQUENCE, Cache, Cached, Kind, MemoryCache, Written


class Server(Protocol):
    port: int

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def signal(self, number: signal.Signals) -> None: ...


def value(sequence: int, kind: Kind = "greeks", underlying: str = "GOOG", payload: bytes = b"") -> Cached:
    return Cached(
        underlying=underlying,
        kind=kind,
        sequence=sequence,
        ts_event=1_000 + sequence,
        schema="GreeksComputed",
        version=1,
        content_type="application/json",
        payload=payload or b"\x00\xff %d" % sequence,
    )


def on_redis(server: Server, **settings: Any) -> RedisCache:  # noqa: ANN401  # fields of CacheSettings
    return RedisCache.of(CacheSettings(url=server.url, **settings), {})


@pytest.fixture(params=["memory", "redis"])
def cache(request: pytest.FixtureRequest) -> Iterator[Cache]:
    """Both caches: each law holds on each."""
    made: Cache = MemoryCache()
    if request.param == "redis":
        made = on_redis(request.getfixturevalue("redis_server"))
    yield made
    made.close()


def test_what_was_put_is_got_as_it_was(cache: Cache) -> None:
    cache.check()
    assert cache.get("GOOG", "greeks") is None
    assert cache.log_of("GOOG") is None
    assert cache.put("run", [value(3), value(1, "chain"), value(2, underlying="SYN")]) == Written(taken=3)
    assert cache.get("GOOG", "greeks") == value(3)
    assert cache.get("GOOG", "chain") == value(1, "chain")
    assert cache.get("SYN", "greeks") == value(2, underlying="SYN")
    assert cache.get("SYN", "chain") is None
    assert cache.log_of("GOOG") == "run"


def test_a_late_or_repeated_write_changes_nothing(cache: Cache) -> None:
    cache.put("run", [value(5)])
    assert cache.put("run", [value(4, payload=b"late")]) == Written(late=1)
    assert cache.put("run", [value(5, payload=b"again")]) == Written(late=1)
    assert cache.get("GOOG", "greeks") == value(5)
    assert cache.put("run", [value(6), value(3, payload=b"late")]) == Written(taken=1), "the newest of one call counts"
    assert cache.get("GOOG", "greeks") == value(6)


def test_in_whatever_order_values_come_the_newest_of_each_kind_stays(cache: Cache) -> None:
    for seed in range(20):
        order = [value(sequence, kind) for kind in KINDS for sequence in range(1, 6)]
        random.Random(seed).shuffle(order)
        log = f"run {seed}"
        cache.claim("GOOG", log)
        assert cache.get("GOOG", "greeks") is None
        while order:
            cut = 1 + len(order) // 3
            cache.put(log, order[:cut])
            del order[:cut]
        assert [cache.get("GOOG", kind) for kind in KINDS] == [value(5, kind) for kind in KINDS]


def test_a_claim_removes_what_another_log_left_and_shuts_it_out(cache: Cache) -> None:
    cache.put("yesterday", [value(1_000), value(1_000, "chain"), value(7, underlying="SYN")])
    cache.claim("GOOG", "today")
    assert [cache.get("GOOG", kind) for kind in KINDS] == [None] * len(KINDS)
    assert cache.put("yesterday", [value(2_000)]) == Written(foreign=1)
    assert cache.put("today", [value(1)]) == Written(taken=1)
    assert cache.put("yesterday", [value(2_001), value(8, underlying="SYN")]) == Written(taken=1, foreign=1)
    assert cache.get("GOOG", "greeks") == value(1)
    assert cache.get("SYN", "greeks") == value(8, underlying="SYN")


def test_a_claim_that_is_repeated_removes_nothing(cache: Cache) -> None:
    cache.claim("GOOG", "run")
    cache.put("run", [value(1)])
    cache.claim("GOOG", "run")
    assert cache.get("GOOG", "greeks") == value(1)


@pytest.mark.parametrize("sequence", [-1, MAX_SEQUENCE + 1])
def test_a_sequence_that_cannot_be_compared_exactly_is_refused(cache: Cache, sequence: int) -> None:
    with pytest.raises(InputError, match="sequence is out of range"):
        cache.put("run", [value(sequence)])


def test_the_largest_sequences_are_still_told_apart(cache: Cache) -> None:
    cache.put("run", [value(MAX_SEQUENCE - 1)])
    assert cache.put("run", [value(MAX_SEQUENCE - 2)]) == Written(late=1)
    assert cache.put("run", [value(MAX_SEQUENCE)]) == Written(taken=1)


def test_many_writers_at_once_leave_the_newest(redis_server: Server) -> None:
    def write(sequences: range) -> None:
        cache = on_redis(redis_server)
        for sequence in sequences:
            cache.put("run", [value(sequence), value(sequence, "chain")])
        cache.close()

    threads = [threading.Thread(target=write, args=(range(start, 400, 4),)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache = on_redis(redis_server)
    assert cache.get("GOOG", "greeks") == value(399)
    assert cache.get("GOOG", "chain") == value(399, "chain")
    cache.close()


def test_values_vanish_when_nobody_renews_them_and_a_repetition_renews(redis_server: Server) -> None:
    cache = on_redis(redis_server, ttl_s=50)
    cache.put("run", [value(1)])
    with redis.Redis(port=redis_server.port) as client:
        keys = ("axiom:{GOOG}:greeks", "axiom:{GOOG}:log")
        assert all(0 < int(client.pttl(key)) <= 50_000 for key in keys)
        client.pexpire(keys[0], 1_000)
        cache.put("run", [value(0)])
        assert int(client.pttl(keys[0])) <= 1_000, "a late write renews nothing"
        cache.put("run", [value(1)])
        assert int(client.pttl(keys[0])) > 1_000
    cache.close()


def test_any_client_reads_the_fields_and_the_age(redis_server: Server) -> None:
    cache = on_redis(redis_server, prefix="desk")
    cache.put("run", [value(7)])
    before = time.time_ns() // 1_000_000
    with redis.Redis(port=redis_server.port) as client:
        found: Any = client.hgetall("desk:{GOOG}:greeks")
    assert found.pop(b"written_ms").isdigit()
    assert {name.decode() for name in found} == {
        "log", "sequence", "ts_event", "schema", "version", "content_type", "payload",
    }  # fmt: skip
    assert (found[b"log"], found[b"sequence"], found[b"payload"]) == (b"run", b"7", value(7).payload)
    assert before > 0
    cache.close()


def test_a_server_that_forgot_the_scripts_is_told_them_again(redis_server: Server) -> None:
    cache = on_redis(redis_server)
    cache.put("run", [value(1)])
    redis_server.kill()
    with pytest.raises(Unavailable, match="cache did not answer"):
        cache.put("run", [value(2)])
    redis_server.start()
    assert cache.put("run", [value(2)]) == Written(taken=1)
    assert cache.get("GOOG", "greeks") == value(2)
    cache.close()


def test_a_frozen_server_is_away_after_the_timeout(redis_server: Server) -> None:
    cache = on_redis(redis_server, timeout_s=0.2)
    cache.check()
    redis_server.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="cache did not answer"):
            cache.put("run", [value(1)])
        assert time.monotonic() - began < 2.0
    finally:
        redis_server.signal(signal.SIGCONT)
    cache.close()


def test_the_password_comes_from_the_environment_or_a_file_and_is_never_told(
    redis_servers: Callable[..., Server], tmp_path: Path
) -> None:
    guarded = redis_servers("--requirepass", "sesame opens")
    settings = CacheSettings(url=guarded.url)
    RedisCache.of(settings, {"AXIOM_REDIS_PASSWORD": "sesame opens"}).check()
    file = tmp_path / "password"
    file.write_text("sesame opens\n")
    RedisCache.of(CacheSettings(url=guarded.url, password_file=str(file)), {}).check()
    for environment in ({}, {"AXIOM_REDIS_PASSWORD": "mellon"}):
        with pytest.raises(SettingsError, match="cache refuses us") as refused:
            RedisCache.of(settings, environment).check()
        told = f"{refused.value} {refused.value!r} {settings!r}"
        assert "mellon" not in told
        assert "AXIOM_REDIS_PASSWORD" in told


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "http://localhost"}, "cache.url"),
        ({"url": "redis://localhost:0"}, "cache.url"),
        ({"url": "redis://:geheim@localhost"}, "cache.url"),
        ({"url": "redis://me:geheim@localhost:6379/0"}, "cache.url"),
        ({"url": "redis://localhost", "ca_file": "ca.pem"}, "cache.url"),
        ({"url": "rediss://localhost", "cert_file": "me.pem"}, "cache.key_file"),
        ({"ttl_s": 0}, "cache.ttl_s"),
        ({"interval_ms": 0}, "cache.interval_ms"),
        ({"timeout_s": float("nan")}, "cache.timeout_s"),
        ({"prefix": "a{b}"}, "cache.prefix"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as refused:
        CacheSettings(**given)
    assert refused.value.fields["field"] == field
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "redis://localhost", "password_file": "no/such/file"}, "cache.password_file"),
        ({"url": "rediss://localhost", "ca_file": "no/such/file"}, "cache.ca_file"),
        ({"url": ""}, "cache.url"),
    ],
)
def test_what_the_settings_name_must_be_there(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as refused:
        RedisCache.of(CacheSettings(**given), os.environ)
    assert refused.value.fields["field"] == field


@given(sequences=st.lists(st.integers(0, MAX_SEQUENCE), min_size=1, max_size=20))
def test_the_highest_sequence_stays_whatever_the_order(sequences: list[int]) -> None:
    cache = MemoryCache()
    for sequence in sequences:
        cache.put("run", [value(sequence)])
    found = cache.get("GOOG", "greeks")
    assert found is not None
    assert found.sequence == max(sequences)

"""The writer never holds up the stream, keeps one value of each kind, and brings a cache up to date that was away."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
import pytest

from domain.codec import decode
from domain.commands import STOCK, CancelQuotes, Party
from domain.errors import InputError
from domain.events import (
    ExposureChanged,
    GreeksComputed,
    NbboUpdated,
    PositionChanged,
    QuoteCancelCleared,
    QuotesCleared,
    UnderlyingUpdated,
)
from domain.frames import GreeksFrame, NbboFrame, PositionFrame, QuoteFrame
from store.cache import RedisCache
from store.cache_settings import CacheSettings
from store.cache_writer import CacheWriter
from store.cached import Cache, MemoryCache
from store.last_values import LastValues

PARTY: Final = Party(account="A", capacity="market_maker", clearing_firm="0", market_maker_id="M")
HEAD: Final = {"ts_init": 0, "underlying": "GOOG"}


class Server(Protocol):
    port: int

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def signal(self, number: signal.Signals) -> None: ...


def nbbo(ts: int, **rows: tuple[int, int]) -> NbboUpdated:
    contracts = [int(name[1:]) for name in rows]
    bids, asks = zip(*rows.values(), strict=True)
    ones = np.ones(len(rows))
    frame = NbboFrame(
        contract=np.array(contracts), bid=np.array(bids), bid_size=ones, ask=np.array(asks), ask_size=ones
    )
    return NbboUpdated(ts_event=ts, **HEAD, frame=frame)  # type: ignore[arg-type]  # HEAD is of several types


def quotes(ts: int, rows: Sequence[tuple[int, int, int, int]]) -> QuotesCleared:
    """Rows are (venue, contract, bid, ask); a price of 0 pulls the side."""
    venue, contract, bid, ask = (np.array(values) for values in zip(*rows, strict=True))
    frame = QuoteFrame(venue=venue, contract=contract, bid=bid, bid_size=1 * (bid > 0), ask=ask, ask_size=1 * (ask > 0))
    return QuotesCleared(
        ts_event=ts, ts_init=0, underlying="GOOG", gate="g", sequence=ts, seal="s", quote_set_id="q", party=PARTY,
        quote_ts=ts, frame=frame,
    )  # fmt: skip


def cancel(ts: int, venue: int, contracts: tuple[int, ...]) -> QuoteCancelCleared:
    told = CancelQuotes(
        ts_event=ts, ts_init=0, underlying="GOOG", cancel_id="c", venue=venue, contracts=contracts, reason=""
    )
    return QuoteCancelCleared(ts_event=ts, ts_init=0, underlying="GOOG", gate="g", sequence=ts, seal="s", cancel=told)


def position(ts: int, contract: int, quantity: int) -> PositionChanged:
    return PositionChanged(
        ts_event=ts, ts_init=0, underlying="GOOG", contract=contract, quantity=quantity, change=0, cause="fill"
    )


def underlying(ts: int) -> UnderlyingUpdated:
    return UnderlyingUpdated(ts_event=ts, ts_init=0, underlying="GOOG", bid=ts, bid_size=1, ask=ts + 1, ask_size=1)


def rows(payload: bytes) -> dict[str, list[int]]:
    """With a stock reader alone."""
    found: dict[str, list[int]] = pa.ipc.open_stream(payload).read_all().to_pydict()
    return found


def test_market_quotes_are_put_together_by_contract() -> None:
    values = LastValues("GOOG")
    values.take(nbbo(1, c3=(30, 31), c1=(10, 11)), 1)
    values.take(nbbo(2, c1=(12, 13), c200=(5, 6)), 2)
    made = values.copied("nbbo")
    values.take(nbbo(3, c1=(99, 100)), 3)
    cached = made()
    event = decode(cached.schema, cached.version, cached.payload)
    assert isinstance(event, NbboUpdated)
    assert (cached.sequence, event.ts_event) == (2, 2), "a copy does not change with what comes after it"
    assert event.frame.contract.tolist() == [1, 3, 200]
    assert event.frame.bid.tolist() == [12, 30, 5]


def test_rows_are_kept_however_many_there_are() -> None:
    values = LastValues("GOOG")
    contracts = np.random.default_rng(1).permutation(5_000)
    for start in range(0, 5_000, 700):
        chosen = contracts[start : start + 700]
        ones = np.ones(len(chosen))
        frame = NbboFrame(contract=chosen, bid=chosen * 2, bid_size=ones, ask=chosen * 3, ask_size=ones)
        values.take(NbboUpdated(ts_event=1, ts_init=0, underlying="GOOG", frame=frame), start)
    found = rows(values.copied("nbbo")().payload)
    assert found["contract"] == list(range(5_000))
    assert found["ask"] == [3 * number for number in range(5_000)]


def test_our_quotes_are_what_was_cleared_and_not_cancelled() -> None:
    values = LastValues("GOOG")
    values.take(quotes(1, [(0, 1, 10, 11), (0, 2, 20, 21), (1, 1, 10, 12), (2, 9, 90, 91)]), 1)
    values.take(quotes(2, [(0, 1, 0, 0), (0, 2, 0, 22)]), 2)
    found = rows(values.copied("quotes")().payload)
    assert list(zip(found["venue"], found["contract"], found["ask"], strict=True)) == [
        (0, 2, 22),
        (1, 1, 12),
        (2, 9, 91),
    ]
    values.take(cancel(3, 1, ()), 3)
    values.take(cancel(4, -1, (9,)), 4)
    assert rows(values.copied("quotes")().payload)["venue"] == [0]
    values.take(cancel(5, -1, ()), 5)
    assert rows(values.copied("quotes")().payload)["venue"] == []


def test_positions_hold_what_is_held() -> None:
    values = LastValues("GOOG")
    for sequence, (contract, quantity) in enumerate([(7, 5), (STOCK, -300), (3, 2), (7, 0)]):
        values.take(position(sequence, contract, quantity), sequence)
    cached = values.copied("positions")()
    assert cached.schema == PositionFrame.__name__
    assert rows(cached.payload) == {"contract": [STOCK, 3], "quantity": [-300, 2]}


def test_going_on_from_a_cached_value_gives_what_an_unbroken_stream_gives() -> None:
    stream = [nbbo(ts, **{f"c{ts % 7}": (ts, ts + 1), f"c{ts % 5}": (ts, ts + 2)}) for ts in range(1, 60)]
    whole = LastValues("GOOG")
    for sequence, quoted in enumerate(stream):
        whole.take(quoted, sequence)
    for held_at in (0, 17, 40):
        held = LastValues("GOOG")
        for sequence, quoted in enumerate(stream[: held_at + 1]):
            held.take(quoted, sequence)
        cached = held.copied("nbbo")()
        event = decode(cached.schema, cached.version, cached.payload)
        assert isinstance(event, NbboUpdated)
        for begin in range(held_at + 2):  # repeats what is in it, in order, or nothing
            resumed = LastValues("GOOG")
            resumed.resume("nbbo", event.frame, 0, 0)
            for sequence in range(begin, len(stream)):
                resumed.take(stream[sequence], sequence)
            assert resumed.copied("nbbo")() == whole.copied("nbbo")()


def writer_on(cache: Cache, said: list[str] | None = None, refresh_s: float = 60.0) -> CacheWriter:
    told = [] if said is None else said
    made = CacheWriter(cache, 0.005, say=lambda text, _fields: told.append(text), refresh_s=refresh_s)
    return made.start()


def wait(is_done: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not is_done():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.005)


def test_what_was_taken_is_written_and_closing_leaves_nothing_behind(redis_server: Server) -> None:
    writer = writer_on(RedisCache.of(CacheSettings(url=redis_server.url), {}))
    writer.follow("GOOG", "run")
    for ts in range(1, 501):
        writer.take(underlying(ts), ts)
        writer.take(nbbo(ts, **{f"c{ts % 50}": (ts, ts + 1)}), ts)
    assert writer.close(10.0)
    reader = RedisCache.of(CacheSettings(url=redis_server.url), {})
    found = reader.get("GOOG", "underlying")
    assert found is not None
    assert decode(found.schema, found.version, found.payload) == underlying(500)
    market = reader.get("GOOG", "nbbo")
    assert market is not None
    assert sorted(rows(market.payload)["bid"]) == list(range(451, 501))
    reader.close()


def test_other_underlyings_and_other_events_are_ignored() -> None:
    cache = MemoryCache()
    writer = writer_on(cache)
    writer.take(underlying(1), 1)
    assert writer.close()
    assert cache.get("GOOG", "underlying") is None


def test_a_new_log_begins_anew(redis_server: Server) -> None:
    cache = RedisCache.of(CacheSettings(url=redis_server.url), {})
    writer = writer_on(cache)
    writer.follow("GOOG", "yesterday")
    writer.take(position(1, 3, 5), 10_000)
    writer.take(underlying(1), 10_000)
    wait(writer.is_settled)
    writer.follow("GOOG", "today")
    writer.take(position(2, 4, 6), 1)
    assert writer.close()
    reader = RedisCache.of(CacheSettings(url=redis_server.url), {})
    found = reader.get("GOOG", "positions")
    assert found is not None
    assert rows(found.payload) == {"contract": [4], "quantity": [6]}
    assert reader.get("GOOG", "underlying") is None
    reader.close()


@pytest.mark.parametrize("how", ["kill", "freeze"])
def test_an_outage_neither_holds_up_the_stream_nor_loses_the_last_value(redis_server: Server, how: str) -> None:
    said: list[str] = []
    writer = writer_on(RedisCache.of(CacheSettings(url=redis_server.url, timeout_s=0.1), {}), said)
    writer.follow("GOOG", "run")
    writer.take(underlying(1), 1)
    writer.take(position(1, 3, 5), 1)
    wait(writer.is_settled)
    redis_server.kill() if how == "kill" else redis_server.signal(signal.SIGSTOP)
    slowest = 0.0
    for ts in range(2, 4_000):
        began = time.perf_counter()
        writer.take(underlying(ts), ts)
        slowest = max(slowest, time.perf_counter() - began)
    wait(lambda: writer.failures >= 2)
    assert writer.waiting <= 2
    assert slowest < 0.1, "no call waited for an answer of the cache"
    redis_server.start() if how == "kill" else redis_server.signal(signal.SIGCONT)
    wait(lambda: "cache.returned" in said)
    wait(writer.is_settled)
    assert writer.close()
    assert said.count("cache.unavailable") == 1
    reader = RedisCache.of(CacheSettings(url=redis_server.url), {})
    last, held = reader.get("GOOG", "underlying"), reader.get("GOOG", "positions")
    assert last is not None
    assert last.sequence == 3_999
    assert held is not None, "what the cache lost is written again"
    reader.close()


def test_a_cache_that_was_emptied_is_filled_again(redis_server: Server) -> None:
    cache = RedisCache.of(CacheSettings(url=redis_server.url), {})
    writer = writer_on(cache, refresh_s=0.05)
    writer.follow("GOOG", "run")
    writer.take(position(1, 3, 5), 1)
    wait(writer.is_settled)
    redis_server.kill()
    redis_server.start()
    reader = RedisCache.of(CacheSettings(url=redis_server.url), {})
    wait(lambda: reader.get("GOOG", "positions") is not None)
    writer.close()
    reader.close()


def test_a_cache_that_is_away_at_the_end_does_not_hold_up_the_end(redis_server: Server) -> None:
    redis_server.kill()
    writer = writer_on(RedisCache.of(CacheSettings(url=redis_server.url), {}))
    writer.follow("GOOG", "run")
    writer.take(underlying(1), 1)
    began = time.monotonic()
    assert not writer.close(5.0)
    assert time.monotonic() - began < 5.0


def test_a_writer_whose_log_was_ousted_says_so_once() -> None:
    cache, said = MemoryCache(), list[str]()
    writer = writer_on(cache, said)
    writer.follow("GOOG", "old")
    writer.take(underlying(1), 1)
    wait(writer.is_settled)
    cache.claim("GOOG", "new")
    for ts in range(2, 10):
        writer.take(underlying(ts), ts)
        wait(writer.is_settled)
    writer.close()
    assert said == ["cache.ousted"]
    assert writer.written.foreign >= 1
    assert cache.get("GOOG", "underlying") is None


def test_a_value_that_cannot_be_encoded_is_told_and_the_others_go_on() -> None:
    cache, said = MemoryCache(), list[str]()
    writer = writer_on(cache, said)
    writer.follow("GOOG", "run")
    bad = ExposureChanged(
        ts_event=1, ts_init=0, underlying="GOOG", spot=float("nan"), stock=0, delta=0, gamma=0, vega=0, theta=0,
        option_delta=0, cause="greeks",
    )  # fmt: skip
    writer.take(bad, 1)
    writer.take(underlying(1), 1)
    assert writer.close()
    assert said == ["cache.value_refused"]
    assert cache.get("GOOG", "underlying") is not None


def test_greeks_keep_their_payload_as_it_travelled() -> None:
    from domain.codec import encode

    cache = MemoryCache()
    columns = {name: np.arange(3).astype(dtype) for name, dtype in GreeksFrame.dtypes.items()}
    event = GreeksComputed(
        ts_event=1, ts_init=0, underlying="GOOG", spot=1.0, is_refresh=True, frame=GreeksFrame.from_columns(columns)
    )
    encoded = encode(event)
    writer = writer_on(cache)
    writer.follow("GOOG", "run")
    writer.take(event, 4, encoded)
    assert writer.close()
    found = cache.get("GOOG", "greeks")
    assert found is not None
    assert found.payload is encoded.payload
    with pytest.raises(InputError):
        cache.put("run", [found._replace(sequence=-1)])

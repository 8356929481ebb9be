"""Gateway, venues and feed as processes on Kafka: killed at any moment, nothing is lost, doubled, or sent unasked."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from typing import Final

import msgspec
import pytest

from axiom.cluster import SEAL_KEY_FILE
from axiom.feed_plan import synthetic_symbols
from domain import commands as c
from domain import events as e
from domain.commands import STOCK
from streams.kafka_topics import declare
from tests.conftest import LocalBroker
from tests.e2e.kafka_form import PARTITIONS, PARTY, Form, Process, StandIn, cluster_of, letters, run

pytestmark = pytest.mark.timeout(120)
SIMA: Final = 0
SIMS: Final = 3
DEAD_MAN_S: Final = 1.5
UNDERLYINGS: Final = synthetic_symbols(4, PARTITIONS, ())


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory, kafka_is_there: None) -> Iterator[Form]:
    """One option venue, one stock venue, a gateway and four made-up underlyings, one on each partition."""
    folder = tmp_path_factory.mktemp("form")
    broker = LocalBroker(folder / "kafka")
    broker.start()
    asyncio.run(declare_all(broker.bootstrap))
    extra = {"AXIOM_GATEWAY__DEAD_MAN_MS": str(round(DEAD_MAN_S * 1e3))}
    made = Form(broker.bootstrap, folder / "data", secrets.token_bytes(32), extra=extra)
    made.start()
    yield made
    made.end()
    broker.kill()


async def declare_all(bootstrap: str) -> None:
    await declare(cluster_of(bootstrap), PARTITIONS)


async def opened(form: Form, underlying: str) -> StandIn:
    desk = StandIn(cluster_of(form.bootstrap), underlying, form.key)
    await desk.open()
    await desk.ready((SIMA, SIMS))
    await desk.claim()
    return desk


def test_kills_lose_and_double_nothing(form: Form) -> None:
    """Gateway, venue and feed are each killed with -9 while orders leave; each order is sent once and counted once."""

    async def work() -> None:
        desk = await opened(form, UNDERLYINGS[0])
        names: dict[str, int] = {}
        for number in range(60):
            if number == 15:
                form.restart("gateway")
            elif number == 30:
                form.restart("SIMS")
            elif number == 45:
                form.restart("feed")
            venue = SIMS
            side: c.Side = "sell" if number % 3 else "buy"
            price = desk.stock[0] - 2_000 if side == "sell" else desk.stock[1] + 2_000
            names[await desk.submit(venue, STOCK, side, 10 + number, price)] = venue
            await desk.read(0.1)
        await desk.until(lambda: desk.is_up(SIMS) and desk.is_up(SIMA), "venues are not back")
        for _ in range(20):
            await desk.read(0.1)
        unknown = [name for name in names if not desk.is_done(name)]
        for name in unknown:
            await desk.ask(name, SIMS, STOCK, "buy")
        await desk.until(lambda: all(desk.is_done(name) for name in names), "orders have no end")
        await asyncio.sleep(1.2)  # a venue writes its book every second

        book = form.book("SIMS", desk.underlying)
        trades = desk.trades(SIMS)
        assert sorted(report.exec_id for report in trades) == sorted(book["trades"])
        assert sum(r.last_qty if r.side == "buy" else -r.last_qty for r in trades) == book["stock"] != 0
        assert not desk.doubled
        for number, name in enumerate(names):
            news = [r for r in desk.of(name) if r.exec_type is e.ExecType.NEW]
            assert len(news) <= 1, f"{name} was taken twice"
            assert sum(r.last_qty for r in desk.of(name) if r.exec_type is e.ExecType.TRADE) <= 10 + number
        assert len([name for name in names if desk.of(name)]) == len(names)
        sources = [r.exec_id for r in trades]
        assert len(sources) == len(set(sources)) >= 5
        await desk.close()

    run(work())


def test_a_replaced_owner_is_not_heard(form: Form) -> None:
    """What an owner sends after another took over never reaches a venue, and what the new one sends does."""

    async def work() -> None:
        desk = await opened(form, UNDERLYINGS[1])
        old = desk.epoch
        await desk.claim()
        assert desk.epoch > old
        late = e.OrderCleared(**desk.head(), order=order_of(desk, "LATE"))
        await desk.clear(late, epoch=old)
        assert isinstance(late, e.OrderCleared)
        await desk.clear(altered_order(late, "FRESH"))  # the same sequence: the old one's was void
        await desk.until(lambda: desk.is_done("FRESH"), "the new owner is not heard")
        assert not desk.of("LATE")
        await desk.close()

    run(work())


def test_what_the_gate_did_not_seal_is_buried(form: Form) -> None:
    """An unsealed, an altered and an unowned clearance reach no venue; the dead letters say why."""

    async def work() -> None:
        desk = await opened(form, UNDERLYINGS[2])
        head = desk.head()
        bare = e.OrderCleared(**head, order=order_of(desk, "BARE"))
        await desk.clear(bare, is_sealed=False)
        sealed = desk._sealer.sealed(bare)
        await desk.clear(altered_order(sealed, "ALTERED"), is_sealed=False)
        await desk.clear(altered_order(bare, "GOOD"))
        await desk.until(lambda: desk.is_done("GOOD"), "the good one is not heard")
        assert not desk.of("BARE")
        assert not desk.of("ALTERED")
        await desk.close()

    run(work())
    found = [letter for letter in letters(form.bootstrap) if letter["dead.reason"] == "clearance refused"]
    assert len(found) == 2
    assert all("seal does not fit" in letter["dead.error"] for letter in found)
    assert all(letter["dead.topic"] == "orders.cleared" and letter["schema"] == "OrderCleared" for letter in found)


def test_quotes_of_a_silent_owner_are_pulled_in_time(form: Form) -> None:
    """While the owner beats its quotes rest; when he falls silent they are gone within the dead-man time."""

    async def work() -> None:
        desk = await opened(form, UNDERLYINGS[3])
        await desk.quote(SIMA, list(range(20)))
        await desk.until(lambda: taken(desk) == 1, "quotes are not taken")
        for _ in range(round(2 * DEAD_MAN_S / 0.3)):
            await desk.beat()
            await asyncio.sleep(0.3)
        await desk.read()
        assert not pulled(desk, "the owner is silent")
        took = await desk.until(lambda: pulled(desk, "the owner is silent"), "quotes still rest", 2 * DEAD_MAN_S + 1)
        assert took < DEAD_MAN_S + 0.75
        await desk.quote(SIMA, [1])
        await desk.until(lambda: taken(desk) == 2, "not heard again")
        await desk.claim()
        await desk.until(lambda: pulled(desk, "a new owner"), "a new owner's predecessor still quotes")
        await desk.close()

    run(work())


def test_a_gateway_that_ends_pulls_and_says_so(form: Form) -> None:
    """SIGTERM: quotes are pulled, sessions end in order, the desk is told, within the deadline."""

    async def work() -> None:
        desk = await opened(form, UNDERLYINGS[3])
        before = len(desk.answers)
        assert await asyncio.to_thread(form.processes["gateway"].stop) == 0
        await desk.until(lambda: not desk.is_up(SIMA) and not desk.is_up(SIMS), "the desk was not told")
        assert any(isinstance(a, e.QuotesCanceled) and a.reason == "the gateway ends" for a in desk.answers[before:])
        form.processes["gateway"].start()
        await desk.until(lambda: desk.is_up(SIMA) and desk.is_up(SIMS), "venues are not back")
        await desk.close()

    run(work())


def test_a_gateway_without_its_record_does_not_start(form: Form) -> None:
    """What the broker holds may have been sent: who cannot tell refuses, by name, and so does one without the key."""
    gateway = form.processes["gateway"]
    assert gateway.stop() == 0
    other = [str(form.folder / "other") if part == str(form.folder / "gateway") else part for part in gateway.arguments]
    for environment, told in (
        (gateway.environment, "the record of what was sent is gone"),
        ({**gateway.environment, SEAL_KEY_FILE: str(form.folder / "none")}, "seal key cannot be read"),
    ):
        out = form.folder / "other.out"
        out.unlink(missing_ok=True)
        process = Process("other", other, environment, out)
        process.start()
        assert process.running is not None
        assert process.running.wait(30) == 2
        assert told in out.read_text()


def pulled(desk: StandIn, reason: str) -> bool:
    return any(isinstance(a, e.QuotesCanceled) and a.venue == SIMA and a.reason == reason for a in desk.answers)


def taken(desk: StandIn) -> int:
    return sum(isinstance(a, e.QuotesAcknowledged) and a.accepted > 0 for a in desk.answers)


def order_of(desk: StandIn, name: str) -> c.SubmitOrder:
    return c.SubmitOrder(
        ts_event=desk.now, ts_init=desk.now, underlying=desk.underlying, clordid=name, request_id=name, venue=SIMS,
        contract=STOCK, side="buy", quantity=5, order_type="limit", price=desk.stock[1] + 2_000, tif="ioc",
        intent=c.Intent.HEDGE, party=PARTY, sale_marking="", locate_id="", market_maker_exempt=False,
    )  # fmt: skip


def altered_order(clearance: e.Clearance, name: str) -> e.OrderCleared:
    assert isinstance(clearance, e.OrderCleared)
    return msgspec.structs.replace(clearance, order=msgspec.structs.replace(clearance.order, clordid=name))

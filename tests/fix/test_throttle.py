"""Whatever comes in whatever order: no more leaves than may, cancels go first, and none passes what it is about."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from domain import commands as c
from domain.commands import Outbound
from fix.throttle import Cancel, Throttle, Waiting, concerns, takes_all
from fix.wire import Body

BODY: Final = Body("D", b"")
PARTY: Final = c.Party(account="A", capacity="firm", clearing_firm="1", market_maker_id="M")


def order(name: str, underlying: str = "XYZ") -> c.SubmitOrder:
    return c.SubmitOrder(
        ts_event=1, ts_init=1, underlying=underlying, clordid=name, request_id=name, venue=0, contract=0, side="buy",
        quantity=1, order_type="limit", price=1, tif="ioc", intent=c.Intent.HEDGE, party=PARTY, sale_marking="",
        locate_id="", market_maker_exempt=False,
    )  # fmt: skip


def cancel(name: str, underlying: str = "XYZ") -> c.CancelOrder:
    return c.CancelOrder(
        ts_event=1, ts_init=1, underlying=underlying, clordid=f"C-{name}", orig_clordid=name, venue=0, reason=""
    )


def cancel_all(underlying: str = "XYZ") -> c.CancelAllOrders:
    return c.CancelAllOrders(ts_event=1, ts_init=1, underlying=underlying, cancel_id="A", venue=0, reason="")


def pull(*contracts: int) -> c.CancelQuotes:
    return c.CancelQuotes(
        ts_event=1, ts_init=1, underlying="XYZ", cancel_id="Q", venue=0, contracts=contracts, reason=""
    )


def put(throttle: Throttle, command: Outbound, now: float) -> None:
    """As a venue's line does."""
    if isinstance(command, Cancel):
        if takes_all(command):
            throttle.take_out(lambda each: concerns(command, each.command))
        else:
            throttle.bring_forward(lambda each: concerns(command, each.command))
    throttle.put(Waiting(command, [BODY], now))


commands = st.one_of(
    st.integers(0, 5).map(lambda n: order(f"O{n}")),
    st.integers(0, 5).map(lambda n: cancel(f"O{n}")),
    st.sampled_from(["XYZ", "ABC"]).map(cancel_all),
    st.sampled_from([(), (1,)]).map(lambda contracts: pull(*contracts)),
)


@given(st.lists(st.tuples(commands, st.floats(0.0, 0.3)), max_size=60))
def test_no_cancel_passes_what_it_is_about(steps: list[tuple[Outbound, float]]) -> None:
    throttle, now, left, came = Throttle(10.0, 3), 0.0, [], []
    for command, pause in steps:
        now += pause
        put(throttle, command, now)
        came.append(command)
        while (due := throttle.due(now)) is not None:
            left.append(due.command)
    while len(throttle):
        now += 0.1
        while (due := throttle.due(now)) is not None:
            left.append(due.command)
    place = {id(command): at for at, command in enumerate(left)}
    for at, later in enumerate(came):
        if not isinstance(later, Cancel):
            continue
        assert id(later) in place
        for earlier in came[:at]:
            if earlier is not later and concerns(later, earlier) and id(earlier) in place:
                assert place[id(earlier)] < place[id(later)]


@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=80), st.integers(1, 50), st.integers(1, 20))
def test_no_more_leaves_than_may(pauses: list[float], per_second: int, burst: int) -> None:
    throttle, now, sent = Throttle(per_second, burst), 0.0, 0
    for number, pause in enumerate(pauses):
        now += pause
        put(throttle, order(str(number)), now)
        while throttle.due(now) is not None:
            sent += 1
    assert sent <= burst + per_second * now + 1


def test_cancels_go_first() -> None:
    throttle = Throttle(1.0, 1)
    for name in "abc":
        put(throttle, order(name), 0.0)
    put(throttle, cancel("elsewhere"), 0.0)
    first = throttle.due(0.0)
    assert first is not None
    assert isinstance(first.command, c.CancelOrder)
    assert throttle.due(0.5) is None


def test_a_cancel_takes_its_order_along() -> None:
    throttle = Throttle(1.0, 1)
    for name in "abc":
        put(throttle, order(name), 0.0)
    put(throttle, cancel("c"), 0.0)
    names = [waiting.command for now in range(4) if (waiting := throttle.due(float(now))) is not None]
    assert [getattr(command, "clordid", "") for command in names] == ["c", "C-c", "a", "b"]


def test_stale_orders_do_not_leave_and_cancels_always_do() -> None:
    throttle = Throttle(0.001, 1)
    throttle.spend(1)
    put(throttle, order("old"), 0.0)
    put(throttle, cancel("x"), 0.0)
    put(throttle, order("new"), 5.0)
    assert [waiting.command for waiting in throttle.late(since=1.0)] == [order("old")]
    assert len(throttle) == 2

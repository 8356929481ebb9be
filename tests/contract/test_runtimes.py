"""Laws that hold in one process and on Kafka alike: the stages do not know where they run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from domain import commands as c
from domain import events as e
from domain.codec import canonical
from domain.events_base import Event
from domain.topics import TOPIC_OF
from tests.contract.conftest import TINY, Open, Runtime, fresh, name_of
from tests.streams.conftest import OPEN, SECOND, XYZ, chain_listed, run_started, session, tick

Input = tuple[str, int, Event]


def timer(number: int) -> e.TimerFired:
    ts = OPEN + number * SECOND
    return e.TimerFired(ts_event=ts, ts_init=ts, underlying=XYZ, timer="1s")


def executed(number: int) -> e.ExecutionReported:
    ts = OPEN + number * SECOND + 1
    return e.ExecutionReported(
        ts_event=ts, ts_init=ts, underlying=XYZ, venue=0, clordid="", orig_clordid="", quote_set_id="Q",
        exec_id=f"E{number}", exec_ref_id="", exec_type=e.ExecType.TRADE, ord_status=e.OrdStatus.PARTIALLY_FILLED,
        contract=number % 4, side="buy", last_qty=1, last_px=40_000, cum_qty=1, leaves_qty=4, fee=0,
        adds_liquidity=True, text="",
    )  # fmt: skip


def command(kind: type[c.OperatorCommand], number: int, underlying: str = XYZ) -> c.OperatorCommand:
    ts = OPEN + number * SECOND + 2
    return kind(ts_event=ts, ts_init=ts, underlying=underlying, user="anna", reason="lunch")


def day() -> list[Input]:
    """A few seconds of everything."""
    inputs: list[Input] = [
        ("feed", 0, run_started()),
        ("feed", 1, chain_listed(OPEN - 60 * SECOND)),
        ("feed", 2, session(OPEN, "open")),
    ]
    for number in range(4):
        inputs += [
            ("feed", number, tick(OPEN + number * SECOND, 1_000_000 + 300 * (number % 3))),
            ("timer", number, timer(number)),
            ("venue", number, executed(number)),
        ]
    inputs.append(("ops", 0, command(c.PauseQuoting, 4)))
    inputs.append(("feed", 4, tick(OPEN + 5 * SECOND, 1_001_200)))
    inputs.append(("ops", 1, command(c.ResumeQuoting, 6)))
    inputs.append(("feed", 5, tick(OPEN + 7 * SECOND, 1_000_600)))
    return inputs


def expected(inputs: Sequence[Input]) -> tuple[list[Event], set[bytes]]:
    """What a shard that nothing disturbs makes of them: effects in order, and what else it says."""
    shard = fresh()
    outputs = [
        output
        for source, sequence, event in inputs
        for output in shard.handle(f"{TOPIC_OF[type(event)].name}|{source}", sequence, event)
    ]
    is_effect = [TOPIC_OF[type(output)].name == TINY.effects for output in outputs]
    effects = [output for output, is_it in zip(outputs, is_effect, strict=True) if is_it]
    return effects, {name_of(output) for output, is_it in zip(outputs, is_effect, strict=True) if not is_it}


async def is_as_expected(runtime: Runtime, inputs: Sequence[Input]) -> None:
    effects, told = expected(inputs)
    assert effects
    assert [canonical(event) for event in await runtime.effects()] == [canonical(event) for event in effects]
    assert await runtime.told() == told


def run(runtime: Open, scenario: Callable[[Runtime], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with runtime() as opened:
            await scenario(opened)

    asyncio.run(whole())


def test_the_same_inputs_in_the_same_order_give_the_same_outputs(runtime: Open) -> None:
    async def scenario(opened: Runtime) -> None:
        for each in day():
            await opened.put(*each)
        await is_as_expected(opened, day())

    run(runtime, scenario)


def test_an_input_that_comes_twice_counts_once(runtime: Open) -> None:
    async def scenario(opened: Runtime) -> None:
        for each in day():
            await opened.put(*each)
            await opened.put(*each)
        await is_as_expected(opened, day())

    run(runtime, scenario)


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_an_end_in_between_changes_nothing(runtime: Open, how: str) -> None:
    async def scenario(opened: Runtime) -> None:
        for number, each in enumerate(day()):
            await opened.put(*each)
            if number % 5 == 4:
                await (opened.stop_and_go_on() if how == "stop" else opened.crash_and_go_on())
        await is_as_expected(opened, day())

    run(runtime, scenario)


def test_a_refused_input_is_told_and_the_next_one_is_taken(runtime: Open) -> None:
    late = ("feed", 10, tick(OPEN - SECOND))
    inputs = [*day(), late, ("feed", 11, tick(OPEN + 9 * SECOND, 1_002_000))]

    async def scenario(opened: Runtime) -> None:
        for each in inputs:
            await opened.put(*each)
        await is_as_expected(opened, inputs)

    assert "EventRejected" in str(expected(inputs)[1])
    run(runtime, scenario)


def test_what_is_for_the_whole_firm_reaches_an_underlying(runtime: Open) -> None:
    kill = ("boss", 0, command(c.EngageKillSwitch, 8, underlying=""))
    inputs = [*day(), kill, ("feed", 12, tick(OPEN + 9 * SECOND, 1_002_000))]

    async def scenario(opened: Runtime) -> None:
        for each in inputs:
            await opened.put(*each)
        effects, told = expected(inputs)
        assert isinstance(effects[-1], e.QuoteCancelCleared)
        assert [canonical(event) for event in await opened.effects()] == [canonical(event) for event in effects]
        assert await opened.told() == told

    run(runtime, scenario)

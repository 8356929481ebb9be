"""The shard: one writer, one queue, and the one place that decides what an error means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.errors import DataError, InputError, InvariantError, ReplayDiverged, VenueError
from domain.events_base import Event
from domain.stage import Stage
from streams.shard import PIN_TOLERANCE, Shard
from tests.streams.conftest import (
    HEAD,
    OPEN,
    SECOND,
    XYZ,
    Gate,
    Pricer,
    Quoter,
    chain_listed,
    run_started,
    stages,
    tick,
)

Apply = Callable[[Event], Sequence[Event]]
OTHER = "ABC"


class Step:
    """A stage from a function."""

    def __init__(self, name: str, apply: Apply, *reads: type[Event]) -> None:
        self.name = name
        self.reads = frozenset(reads)
        self.apply = apply

    def snapshot(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        assert state == b""


class Counts:
    """Metrics that add up."""

    def __init__(self) -> None:
        self.counted: dict[tuple[str, str], float] = {}
        self.observed: list[tuple[str, str]] = []

    def count(self, name: str, value: float = 1.0, label: str = "") -> None:
        self.counted[name, label] = self.counted.get((name, label), 0.0) + value

    def gauge(self, name: str, value: float, label: str = "") -> None:
        raise AssertionError(name, value, label)

    def observe(self, name: str, value: float, label: str = "") -> None:
        assert value >= 0
        self.observed.append((name, label))


def shard_of(*group: Stage, others: Sequence[Stage] = (), metrics: Counts | None = None) -> Shard:
    """A shard that listed XYZ with these stages, and ABC with the others."""
    shard = Shard("0", lambda _, chain: list(group if chain.underlying == XYZ else others), metrics)
    shard.handle("run", 0, run_started())
    shard.handle("feed", 0, chain_listed())
    if others:
        shard.handle("feed", 1, chain_listed(underlying=OTHER))
    return shard


def timer(name: str, ts: int = OPEN, underlying: str = XYZ) -> e.TimerFired:
    return e.TimerFired(ts_event=ts, ts_init=ts, underlying=underlying, timer=name)


def names(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def failing(error: Exception) -> Apply:
    def apply(_: Event) -> Sequence[Event]:
        raise error

    return apply


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.fuzz
@given(tree=st.recursive(st.just(()), lambda child: st.lists(child, max_size=3).map(tuple), max_leaves=20))
def test_queue_is_first_in_first_out(tree: tuple[Any, ...]) -> None:
    """Each event says its children; they come out level by level, in the order in which their parents did."""

    def children(event: Event) -> Sequence[Event]:
        assert isinstance(event, e.TimerFired)
        node: Any = tree
        for step in event.timer.split(".")[1:]:
            node = node[int(step)]
        return [timer(f"{event.timer}.{i}") for i in range(len(node))]

    found = shard_of(Step("tree", children, e.TimerFired)).handle("t", 0, timer("r"))
    levels: list[str] = []
    queue: list[tuple[str, Any]] = [("r", tree)]
    while queue:
        name, node = queue.pop(0)
        below = [(f"{name}.{i}", child) for i, child in enumerate(node)]
        levels += [child for child, _ in below]
        queue += below
    assert [event.timer for event in found if isinstance(event, e.TimerFired)] == levels


def test_stages_see_an_event_in_their_order_before_what_it_caused() -> None:
    seen: list[str] = []

    def record(stage: str, *outputs: Event) -> Apply:
        def apply(event: Event) -> Sequence[Event]:
            seen.append(f"{stage}:{type(event).__name__}")
            return outputs if isinstance(event, e.TimerFired) else []

        return apply

    kinds = (e.TimerFired, e.UnderlyingUpdated)
    shard = shard_of(Step("one", record("one", tick(OPEN)), *kinds), Step("two", record("two"), *kinds))
    shard.handle("t", 0, timer("x"))
    assert seen == ["one:TimerFired", "two:TimerFired", "one:UnderlyingUpdated", "two:UnderlyingUpdated"]


def test_event_of_the_firm_reaches_every_underlying_and_others_only_their_own() -> None:
    seen: list[str] = []

    def record(name: str) -> Apply:
        def apply(_: Event) -> Sequence[Event]:
            seen.append(name)
            return []

        return apply

    shard = shard_of(Step("s", record("x"), e.TimerFired), others=[Step("s", record("a"), e.TimerFired)])
    shard.handle("t", 0, timer("x", underlying=""))
    shard.handle("t", 1, timer("x", underlying=XYZ))
    shard.handle("t", 2, timer("x", underlying="NONE"))
    assert seen == ["a", "x", "x"]


# --- inputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.fuzz
@given(inputs=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6)), max_size=25))
def test_each_input_is_applied_once_whatever_is_repeated(inputs: list[tuple[str, int]]) -> None:
    """(source, offset) names an input; positions of a source grow, so an older one was seen."""
    applied: list[str] = []

    def apply(event: Event) -> Sequence[Event]:
        assert isinstance(event, e.TimerFired)
        applied.append(event.timer)
        return []

    metrics = Counts()
    shard = shard_of(Step("s", apply, e.TimerFired), metrics=metrics)
    expected: list[str] = []
    last = {"a": -1, "b": -1}
    for source, offset in inputs:
        is_new = offset > last[source]
        assert shard.is_new(source, offset) == is_new
        found = shard.handle(source, offset, timer(f"{source}{offset}"))
        assert found == []
        if is_new:
            expected.append(f"{source}{offset}")
            last[source] = offset
    assert applied == expected
    dropped = sum(metrics.counted.get(("shard.duplicates", source), 0) for source in "ab")
    assert dropped == len(inputs) - len(expected)


def test_clock_of_a_source_may_not_go_back() -> None:
    seen: list[int] = []

    def apply(event: Event) -> Sequence[Event]:
        seen.append(event.ts_event)
        return []

    shard = shard_of(Step("s", apply, e.TimerFired))
    assert shard.handle("t", 0, timer("x", OPEN + 5)) == []
    assert shard.is_late("t", OPEN + 4)
    (rejected,) = shard.handle("t", 1, timer("x", OPEN + 4))
    assert isinstance(rejected, e.EventRejected)
    assert (rejected.stage, rejected.family, rejected.event) == ("shard", "DataError", "TimerFired")
    assert rejected.ts_event == OPEN + 5
    assert f"received={OPEN + 4}" in rejected.error
    assert shard.handle("u", 0, timer("x", OPEN + 4)) == []
    assert shard.handle("t", 2, timer("x", OPEN + 5)) == []
    assert seen == [OPEN + 5, OPEN + 4, OPEN + 5]
    assert shard.last_ts == OPEN + 5


def test_report_of_an_execution_is_never_refused_for_its_time() -> None:
    """It may move money; what else its source says late is refused as before."""
    seen: list[Event] = []

    def apply(event: Event) -> Sequence[Event]:
        seen.append(event)
        return ()

    shard = shard_of(Step("orders", apply, e.ExecutionReported, e.TimerFired))
    fill = late_fill()
    shard.handle("venue.X", 1, timer("a", fill.ts_event + 5))
    assert shard.handle("venue.X", 2, fill) == []
    assert seen[-1] == fill
    (refused,) = shard.handle("venue.X", 3, timer("b", fill.ts_event + 1))
    assert isinstance(refused, e.EventRejected)


def test_chain_needs_a_run_and_is_listed_once() -> None:
    built: list[str] = []

    def factory(run: e.RunStarted, chain: e.ChainListed) -> Sequence[Stage]:
        built.append(chain.underlying)
        return [Quoter()]

    shard = Shard("0", factory)
    (early,) = shard.handle("feed", 0, chain_listed())
    assert isinstance(early, e.EventRejected)
    assert "before the run" in early.error
    shard.handle("run", 0, run_started())
    assert shard.handle("feed", 1, chain_listed()) == []
    held = shard.stages(XYZ)
    (again,) = shard.handle("feed", 2, chain_listed())
    assert isinstance(again, e.EventRejected)
    assert "twice" in again.error
    assert built == [XYZ]
    assert shard.stages(XYZ) == held
    assert shard.stages("NONE") == ()


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (InputError("bad", field="f", value=1), "InputError"),
        (DataError("bad"), "DataError"),
        (VenueError("bad"), "VenueError"),
    ],
)
def test_refusal_of_a_stage_is_an_event_and_the_others_go_on(error: Exception, family: str) -> None:
    metrics = Counts()
    shard = shard_of(Step("picky", failing(error), e.UnderlyingUpdated), *stages(), metrics=metrics)
    before = [stage.snapshot() for stage in shard.stages(XYZ)]
    rejected, *rest = shard.handle("feed", 5, tick(OPEN))
    assert rejected == e.EventRejected(
        **HEAD, stage="picky", event="UnderlyingUpdated", family=family, error=str(error)
    )
    assert names(rest) == ["GreeksComputed", "PlaceQuotes", "QuotesCleared"]
    assert shard.halted == set()
    assert metrics.counted["shard.rejected", family] == 1
    assert shard.stages(XYZ)[0].snapshot() == before[0]


@pytest.mark.parametrize(
    "error", [RuntimeError("odd"), InvariantError("odd"), ZeroDivisionError("odd"), KeyError("odd")]
)
def test_fault_halts_the_underlying_and_pulls_its_quotes(error: Exception) -> None:
    """The kill reaches the gate, which cancels; the stages that book go on; the rest is silent."""
    shard = shard_of(Step("broken", failing(error), e.TimerFired), *stages(), others=stages())
    shard.handle("feed", 5, tick(OPEN))
    found = shard.handle("timer", 0, timer("1s", OPEN + SECOND))
    assert names(found) == ["ShardHalted", "EngageKillSwitch", "KillSwitchEngaged", "QuoteCancelCleared"]
    halted, kill = found[:2]
    assert isinstance(halted, e.ShardHalted)
    assert (halted.stage, halted.underlying, halted.ts_event) == ("broken", XYZ, OPEN + SECOND)
    assert type(error).__name__ in halted.error
    assert isinstance(kill, c.EngageKillSwitch)
    assert "odd" in kill.reason
    assert shard.halted == {XYZ}
    assert shard.handle("feed", 6, tick(OPEN + SECOND)) == []
    assert shard.handle("timer", 1, timer("1s", OPEN + SECOND)) == []
    assert names(shard.handle("venue", 0, late_fill())) == ["OrderFilled", "PositionChanged"]
    assert names(shard.handle("feed", 7, tick(OPEN + SECOND, underlying=OTHER)))[-1] == "QuotesCleared"


def late_fill() -> e.ExecutionReported:
    return e.ExecutionReported(
        **HEAD, venue=0, clordid="", orig_clordid="", quote_set_id="Q", exec_id="1", exec_ref_id="",
        exec_type=e.ExecType.TRADE, ord_status=e.OrdStatus.FILLED, contract=1, side="buy", last_qty=2, last_px=1,
        cum_qty=2, leaves_qty=0, fee=0, adds_liquidity=True, text="",
    )  # fmt: skip


def test_fault_on_an_event_of_the_firm_halts_only_the_underlying_at_fault() -> None:
    shard = shard_of(Step("broken", failing(RuntimeError("odd")), c.PauseQuoting), *stages(), others=stages())
    found = shard.handle("ops", 0, c.PauseQuoting(ts_event=OPEN, ts_init=OPEN, underlying="", user="u", reason="r"))
    assert {event.underlying for event in found if isinstance(event, e.ShardHalted)} == {XYZ}
    assert shard.halted == {XYZ}
    assert "GreeksComputed" in names(shard.handle("feed", 7, tick(OPEN, underlying=OTHER)))
    assert shard.handle("feed", 8, tick(OPEN)) == []


def test_quotes_that_were_on_their_way_to_the_gate_meet_the_kill_first() -> None:
    """The stage fails beside the quoter: the quotes are queued, and the kill overtakes them."""
    shard = shard_of(Pricer(), Quoter(), Step("broken", failing(RuntimeError("odd")), e.GreeksComputed), Gate())
    found = shard.handle("feed", 5, tick(OPEN))
    assert "PlaceQuotes" in names(found)
    assert "QuotesCleared" not in names(found)
    assert names(found)[-2:] == ["KillSwitchEngaged", "QuoteCancelCleared"]


def test_clearance_of_any_other_stage_than_the_gate_halts() -> None:
    def forge(event: Event) -> Sequence[Event]:
        gate = Gate()
        return gate.apply(c.CancelQuotes(**HEAD, cancel_id="X", venue=-1, contracts=(), reason=str(event.ts_event)))

    shard = shard_of(Step("clever", forge, e.TimerFired), Gate())
    found = shard.handle("timer", 0, timer("1s"))
    assert names(found) == ["ShardHalted", "EngageKillSwitch", "KillSwitchEngaged", "QuoteCancelCleared"]
    assert shard.halted == {XYZ}


def test_fault_of_a_survivor_after_the_halt_is_told() -> None:
    shard = shard_of(
        Step("broken", failing(RuntimeError("first")), e.TimerFired),
        Step("orders", failing(RuntimeError("second")), e.ExecutionReported),
    )
    shard.handle("timer", 0, timer("1s"))
    (rejected,) = shard.handle("venue", 0, late_fill())
    assert isinstance(rejected, e.EventRejected)
    assert (rejected.stage, rejected.family) == ("orders", "RuntimeError")
    assert "second" in rejected.error


def test_events_that_do_not_settle_halt_and_quotes_are_pulled() -> None:
    def again(event: Event) -> Sequence[Event]:
        return [event]

    shard = shard_of(Step("echo", again, e.TimerFired), Gate())
    found = shard.handle("timer", 0, timer("1s"))
    assert names(found[-4:]) == ["ShardHalted", "EngageKillSwitch", "KillSwitchEngaged", "QuoteCancelCleared"]
    assert isinstance(found[-4], e.ShardHalted)
    assert "do not settle" in found[-4].error
    assert shard.halted == {XYZ}


def test_interrupt_from_the_keyboard_is_not_a_fault() -> None:
    def apply(_: Event) -> Sequence[Event]:
        raise KeyboardInterrupt

    shard = shard_of(Step("s", apply, e.TimerFired))
    with pytest.raises(KeyboardInterrupt):
        shard.handle("timer", 0, timer("1s"))
    assert shard.halted == set()


# --- snapshots --------------------------------------------------------------------------------------------------------


def inputs(count: int) -> list[tuple[str, int, Event]]:
    found: list[tuple[str, int, Event]] = [("run", 0, run_started()), ("feed", 0, chain_listed())]
    for i in range(count):
        ts = OPEN + i * SECOND
        found += [("feed", i + 1, tick(ts, 1_000_000 + 100 * (i % 4))), ("timer", i, timer("1s", ts))]
    return found


@given(at=st.integers(0, 14), broken=st.sampled_from([-1, 3]))
def test_restored_shard_answers_as_the_original(at: int, broken: int) -> None:
    def faulty(event: Event) -> Sequence[Event]:
        if event.ts_event == OPEN + broken * SECOND:
            raise RuntimeError
        return []

    def new() -> Shard:
        return Shard("0", lambda *_: [Step("faulty", faulty, e.UnderlyingUpdated), *stages()])

    whole, half = new(), new()
    steps = inputs(6)
    expected = [whole.handle(*step) for step in steps]
    found = [half.handle(*step) for step in steps[:at]]
    other = new()
    other.restore(half.snapshot())
    assert other.snapshot() == half.snapshot()
    found += [other.handle(*step) for step in steps[at:]]
    assert found == expected
    assert other.snapshot() == whole.snapshot()
    assert all(not other.is_new(source, offset) for source, offset, _ in steps)


def test_snapshot_of_other_stages_is_refused() -> None:
    state = shard_of(*stages()).snapshot()
    with pytest.raises(DataError, match="other stages"):
        Shard("0", lambda *_: stages()[1:]).restore(state)
    with pytest.raises(DataError):
        Shard("0", lambda *_: list(reversed(stages()))).restore(state)
    with pytest.raises(DataError):
        Shard("0", lambda *_: stages()).restore(state[:-3])


# --- pinned results ---------------------------------------------------------------------------------------------------


def priced(bias: float = 0.0) -> e.GreeksComputed:
    (event,) = Pricer(bias).apply(tick(OPEN))
    assert isinstance(event, e.GreeksComputed)
    return event


@given(bias=st.floats(-PIN_TOLERANCE, PIN_TOLERANCE))
def test_result_within_the_tolerance_is_replaced_by_the_journaled_one(bias: float) -> None:
    """Decisions then do not depend on the machine: the quotes are those of the journal's theos."""
    journaled = priced()
    here = shard_of(*stages(bias)).handle("feed", 5, tick(OPEN), [journaled])
    there = shard_of(*stages()).handle("feed", 5, tick(OPEN))
    assert here[0] is journaled
    assert here == there


@pytest.mark.parametrize(
    ("pin", "what"),
    [
        pytest.param(priced(1e-6), "column='theo'", id="theo"),
        pytest.param(msgspec.structs.replace(priced(), spot=100.001), "column='spot'", id="spot"),
        pytest.param(msgspec.structs.replace(priced(), ts_event=OPEN + 1), "type or time", id="time"),
        pytest.param(
            msgspec.structs.replace(priced(), frame=priced().frame.take(np.array([0, 1]))),
            "column='contract'",
            id="rows",
        ),
    ],
)
def test_result_outside_the_tolerance_diverges(pin: Event, what: str) -> None:
    with pytest.raises(ReplayDiverged, match=what):
        shard_of(*stages()).handle("feed", 5, tick(OPEN), [pin])


def test_infinite_result_does_not_widen_the_tolerance() -> None:
    frame = priced().frame
    theo = np.array([np.inf, 4.0, 4.0, 4.0])
    columns = frame.columns()
    journaled = msgspec.structs.replace(priced(), frame=type(frame).from_columns(columns | {"theo": theo}))
    with pytest.raises(ReplayDiverged, match="theo"):
        shard_of(*stages()).handle("feed", 5, tick(OPEN), [journaled])


def test_result_missing_or_left_over_diverges() -> None:
    with pytest.raises(ReplayDiverged, match="does not hold"):
        shard_of(*stages()).handle("feed", 5, tick(OPEN), [])
    with pytest.raises(ReplayDiverged, match="was not computed"):
        shard_of(*stages()).handle("feed", 5, tick(OPEN), [priced(), priced()])
    with pytest.raises(ReplayDiverged, match="was not computed"):
        shard_of(*stages()).handle("timer", 5, timer("1s"), [priced()])


def test_applies_are_timed_by_stage() -> None:
    metrics = Counts()
    shard_of(*stages(), metrics=metrics).handle("feed", 5, tick(OPEN))
    assert metrics.observed == [("shard.apply.seconds", name) for name in ("pricer", "quoter", "gate")]
    assert metrics.counted["shard.inputs", "UnderlyingUpdated"] == 1

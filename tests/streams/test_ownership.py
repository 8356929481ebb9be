"""Whatever moment an owner dies at, the next one reaches the same state before it acts, and nobody hears the dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.codec import canonical, decode, encode
from domain.errors import DataError, InvariantError
from domain.events_base import Event
from domain.ownership_events import InputsApplied, OwnershipTaken
from domain.topics import TOPIC_OF
from streams.groups import LISTING, Group
from streams.messages import Arrived, Headers, Outgoing
from streams.ownership import MAX_UNLOGGED, Fence, Partition
from streams.references import Reference
from streams.shard import Shard
from tests.streams.conftest import OPEN, SECOND, XYZ, Held, chain_listed, run_started, session, stages, tick

TINY = Group(
    name="desk",
    stages=frozenset({"pricer", "quoter", "orders", "positions", "gate"}),
    reads=LISTING
    | frozenset[type[Event]](
        (e.SessionChanged, e.UnderlyingUpdated, e.TimerFired, e.ExecutionReported, c.PauseQuoting)
    ),
    effects="orders.cleared",
)
EFFECTS = TINY.effects


@dataclass
class Topics:
    """What a broker keeps: topics of one partition."""

    records: dict[str, list[Arrived]] = field(default_factory=dict)

    def publish(self, message: Outgoing, event: Event) -> int:
        log = self.records.setdefault(message.topic, [])
        log.append(Arrived(message.topic, 0, len(log), message.headers, message.message, event))
        return len(log) - 1

    def feed(self, source: str, sequence: int, event: Event) -> None:
        topic = TOPIC_OF[type(event)].name
        self.publish(Outgoing(topic, 0, event.underlying, Headers(source, sequence), encode(event)), event)

    def of(self, topic: str) -> list[Arrived]:
        return self.records.get(topic, [])


def executed(number: int) -> e.ExecutionReported:
    ts = OPEN + number * SECOND // 4
    return e.ExecutionReported(
        ts_event=ts, ts_init=ts, underlying=XYZ, venue=0, clordid="", orig_clordid="", quote_set_id="Q",
        exec_id=f"E{number}", exec_ref_id="", exec_type=e.ExecType.TRADE, ord_status=e.OrdStatus.PARTIALLY_FILLED,
        contract=number % 4, side="buy", last_qty=1, last_px=40_000, cum_qty=1, leaves_qty=4, fee=0,
        adds_liquidity=True, text="",
    )  # fmt: skip


def timer(second: int) -> e.TimerFired:
    ts = OPEN + second * SECOND
    return e.TimerFired(ts_event=ts, ts_init=ts, underlying=XYZ, timer="1s")


def market(ticks: int = 6) -> Topics:
    topics = Topics()
    topics.feed("feed", 0, run_started())
    topics.feed("feed", 1, chain_listed(OPEN - 60 * SECOND))
    topics.feed("feed", 2, session(OPEN, "open"))
    for number in range(ticks):
        topics.feed("feed", number, tick(OPEN + (number + 1) * SECOND, 1_000_000 + 300 * (number % 3)))
        topics.feed("timer", number, timer(number + 1))
        topics.feed("venue", number, executed(number))
    pause = c.PauseQuoting(ts_event=OPEN + SECOND, ts_init=0, underlying=XYZ, user="anna", reason="lunch")
    topics.feed("ops", 0, pause)
    return topics


class Process:
    """One owner: takes messages, publishes what leaves, and can be stopped after any message that left."""

    def __init__(self, topics: Topics, name: str, snapshot: bytes | None = None) -> None:
        self.topics = topics
        self.desk = Partition(TINY, 0, Shard("0", lambda _run, _chain: stages()))
        if snapshot is not None:
            self.desk.restore(snapshot)
        message = self.desk.claim(name, 1)
        claim = topics.publish(message, _event(message))
        tenures = self.desk.tenures(list(topics.of(EFFECTS)[self.desk.effects_position :]), claim)
        wanted = [reference for tenure in tenures for reference in tenure.references]
        inputs = {reference: topics.of(reference.topic)[reference.offset] for reference in wanted}
        self.taken_over = self.desk.repeat(tenures, inputs, claim)
        self.send(self.taken_over)

    def publish(self, message: Outgoing) -> int:
        event = _event(message)
        offset = self.topics.publish(message, event)
        if message.topic == EFFECTS:
            self.desk.acknowledged(offset)
        return offset

    def send(self, leaving: list[Outgoing], at_most: int | None = None) -> None:
        for message in leaving[:at_most]:
            self.publish(message)

    def next(self, topic: str) -> Arrived | None:
        position = self.desk.positions.get(topic, 0)
        log = self.topics.of(topic)
        return log[position] if position < len(log) else None

    def step(self, pick: int, at_most: int | None = None) -> bool:
        """Take the next message of one of the topics that have any; False when there is none."""
        ready = [found for topic in TINY.topics if (found := self.next(topic)) is not None]
        # a chain is listed before anything else is of use
        ready = [found for found in ready if found.topic == "reference.chains"][:1] or ready
        if not ready:
            return False
        self.send(self.desk.take(ready[pick % len(ready)]), at_most)
        return True

    def finish(self, pick: Callable[[], int] = lambda: 0) -> None:
        while self.step(pick()):
            pass
        self.send(self.desk.log(OPEN))

    def state(self) -> list[bytes]:
        return [stage.snapshot() for stage in self.desk.shard.stages(XYZ)]


def _event(message: Outgoing) -> Event:
    return decode(*message.message)


def effective(topics: Topics) -> list[e.Clearance]:
    """What a gateway takes: clearances of the owner who was the owner then."""
    fence, found = Fence(), []
    for arrived in topics.of(EFFECTS):
        if isinstance(arrived.event, OwnershipTaken):
            fence.raise_to("desk", arrived.offset)
        elif fence.admits(arrived.headers) and isinstance(arrived.event, e.Clearance):
            found.append(arrived.event)
    return found


def fills(topics: Topics) -> list[str]:
    """What a reader of fills counts: by producer and count, an identifier once."""
    seen: set[tuple[str, int]] = set()
    found: dict[str, None] = {}
    for arrived in topics.of("orders.fills"):
        name = (arrived.headers.source, arrived.headers.sequence)
        if name not in seen and isinstance(arrived.event, e.OrderFilled):
            found[arrived.event.fill_id] = None
        seen.add(name)
    return list(found)


PICKS = st.lists(st.integers(0, 5), min_size=30, max_size=30)


@given(picks=PICKS, kills=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6), st.booleans()), max_size=4))
def test_owners_that_die_anywhere_leave_one_unbroken_line_of_clearances(
    picks: list[int], kills: list[tuple[int, int, bool]]
) -> None:
    topics = market()
    turn = iter(picks * 20)
    snapshot: bytes | None = None
    dead: list[Process] = []
    for number, (steps, got_out, keeps_snapshot) in enumerate(kills):
        owner = Process(topics, f"w{number}", snapshot)
        for _ in range(steps):
            owner.step(next(turn))
        if keeps_snapshot:
            owner.send(owner.desk.log(OPEN))
            snapshot = owner.desk.snapshot()
        owner.step(next(turn), at_most=got_out)  # and there it dies, having said so much
        dead.append(owner)
    last = Process(topics, "last", snapshot)
    for ghost in dead:  # frozen, not dead: they come back and do not know
        ghost.step(next(turn))
    last.finish(lambda: next(turn))

    assert [clearance.sequence for clearance in effective(topics)] == list(range(1, len(effective(topics)) + 1))
    assert sorted(fills(topics)) == sorted(f"E{number}" for number in range(6))
    held = last.desk.shard.stages(XYZ)[3]
    assert isinstance(held, Held)
    assert held.quantity.sum() == 6
    heir = Process(topics, "heir", snapshot)
    assert heir.state() == last.state()
    assert not [message for message in heir.taken_over if message.topic == EFFECTS]
    newcomer = Process(topics, "newcomer")
    assert newcomer.state() == last.state()


def test_an_undisturbed_owner_names_every_input_once_and_in_order() -> None:
    topics = market()
    owner = Process(topics, "w")
    owner.finish()
    fresh = Partition(TINY, 0, Shard("0", lambda _run, _chain: stages()))
    tenures = fresh.tenures(topics.of(EFFECTS), len(topics.of(EFFECTS)))
    named = [reference for tenure in tenures for reference in tenure.references]
    assert len(named) == len(set(named)) == sum(len(topics.of(topic)) for topic in TINY.topics)
    for topic in TINY.topics:
        offsets = [reference.offset for reference in named if reference.topic == topic]
        assert offsets == sorted(offsets)


def test_what_was_published_twice_is_applied_once() -> None:
    topics = market()
    owner = Process(topics, "w")
    owner.finish()
    before, applied = owner.state(), owner.desk.applied
    topics.feed("venue", 5, executed(5))  # its producer did not know that it had got out
    owner.finish()
    assert (owner.state(), owner.desk.applied) == (before, applied)


def test_silence_is_logged_after_so_many_inputs() -> None:
    topics = market(0)
    owner = Process(topics, "w")
    owner.finish()
    for number in range(MAX_UNLOGGED + 5):
        topics.feed("timer", number, timer(number))
    while owner.step(0):
        pass
    last = topics.of(EFFECTS)[-1].event
    assert isinstance(last, InputsApplied)
    assert last.count == MAX_UNLOGGED


def test_a_snapshot_before_the_log_is_refused() -> None:
    owner = Process(market(), "w")
    owner.step(0)
    with pytest.raises(InvariantError, match="snapshot before the log"):
        owner.desk.snapshot()


def test_a_snapshot_of_another_partition_is_refused() -> None:
    owner = Process(market(), "w")
    owner.finish()
    other = Partition(TINY, 1, Shard("1", lambda _run, _chain: stages()))
    with pytest.raises(InvariantError, match="another partition"):
        other.restore(owner.desk.snapshot())
    with pytest.raises(DataError):
        other.restore(b"nothing")


def test_an_effect_that_does_not_follow_halts_the_takeover() -> None:
    topics = market()
    owner = Process(topics, "w")
    owner.finish()
    log = topics.of(EFFECTS)
    place = next(i for i, arrived in enumerate(log) if isinstance(arrived.event, e.QuotesCleared))
    other = next(a.event for a in log[place + 1 :] if isinstance(a.event, e.QuotesCleared))
    assert canonical(other) != canonical(log[place].event)
    log[place] = log[place]._replace(event=other)
    with pytest.raises(InvariantError, match="does not follow"):
        Process(topics, "heir")


def test_a_gap_in_the_log_halts_the_takeover() -> None:
    topics = market()
    Process(topics, "w").finish()
    log = topics.of(EFFECTS)
    place = next(i for i, arrived in enumerate(log) if arrived.headers.applied[1:])
    log[place] = log[place]._replace(headers=Headers("someone", 0))
    with pytest.raises(InvariantError, match="gap"):
        Process(topics, "heir")


def test_an_input_that_retention_removed_halts_the_takeover() -> None:
    topics = market()
    Process(topics, "w").finish()
    heir = Partition(TINY, 0, Shard("0", lambda _run, _chain: stages()))
    tenures = heir.tenures(topics.of(EFFECTS), len(topics.of(EFFECTS)))
    with pytest.raises(InvariantError, match="is gone"):
        heir.repeat(tenures, dict[Reference, Arrived](), len(topics.of(EFFECTS)))


@pytest.mark.parametrize("group", ["", "quote"])
def test_the_fence_counts_what_it_refuses(group: str) -> None:
    fence = Fence()
    assert fence.admits(Headers("a", 0, group, 5))
    assert fence.admits(Headers("b", 0, group, 9))
    assert fence.admits(Headers("a", 1, group, 5)) is (group == "")
    assert fence.refused == (group != "")

"""One process, one loop: everything happens in the order of time, and a run that was killed ends as if it never was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain import commands as c
from domain import events as e
from domain.codec import canonical
from domain.errors import ReplayDiverged
from domain.events_base import Event
from domain.state import unpack
from streams.embedded import Outcome
from streams.journal import JournalReader, Kind, Record, segments
from streams.recorded import FeedItem
from tests.streams.conftest import (
    LATENCY,
    OPEN,
    SECOND,
    XYZ,
    People,
    Runner,
    day,
    journal_bytes,
    prints,
    session,
    tick,
    write_journal,
)

IN_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
Fresh = Callable[[], Path]


def operator(kind: type[c.OperatorCommand]) -> c.OperatorCommand:
    return kind(ts_event=0, ts_init=0, underlying=XYZ, user="u", reason="r")


def script() -> dict[int, tuple[c.OperatorCommand, ...]]:
    """Two commands at one step, while messages are in flight, and one later.

    A command is a step. Who was killed between the two of step 15 gives the second again, at what is then step 16.
    """
    pause, resume = operator(c.PauseQuoting), operator(c.ResumeQuoting)
    return {15: (pause, resume), 16: (resume,), 30: (pause,)}


# --- order ------------------------------------------------------------------------------------------------------------


def test_inputs_are_applied_in_the_order_of_time(fresh: Fresh) -> None:
    runner = Runner(fresh())
    runner.finish()
    feed = [event.ts_event for source, event, _ in runner.kept.inputs if source == "tiny"]
    assert feed == sorted(feed)
    assert runner.kept.inputs[0][0] == "run"
    assert isinstance(runner.kept.inputs[-1][1], e.RunEnded)
    assert len(runner.kept.inputs) == runner.run.inputs_applied
    seen = [(source, type(event).__name__) for source, event, _ in runner.kept.inputs if source != "tiny"]
    assert seen[:2] == [("run", "RunStarted"), ("positions", "PositionsImported")]


def test_at_equal_times_messages_come_first_then_the_market_then_timers(fresh: Fresh) -> None:
    """An answer due on the second, a tick on the second and the timer of the second."""
    ts = OPEN + SECOND
    feed = [*day(0)[:3], FeedItem("tiny", 3, tick(ts - 2 * LATENCY)), FeedItem("tiny", 4, tick(ts))]
    runner = Runner(fresh(), feed=[*feed, FeedItem("tiny", 5, session(ts + 1, "closed"))])
    runner.finish()
    kinds = [(source, type(event).__name__) for source, event, _ in runner.kept.inputs]
    at = kinds.index(("venue.V0", "QuotesAcknowledged"))
    assert kinds[at : at + 4] == [
        ("venue.V0", "QuotesAcknowledged"),
        ("venue.V0", "QuotesAcknowledged"),  # eight entries at most three to a message: three messages for one venue
        ("tiny", "UnderlyingUpdated"),
        ("timer", "TimerFired"),
    ]


def test_timers_fire_on_each_second_between_open_and_close(fresh: Fresh) -> None:
    runner = Runner(fresh())
    runner.finish()
    fired = [event.ts_event for source, event, _ in runner.kept.inputs if source == "timer"]
    assert fired == [OPEN + second * SECOND for second in (1, 2, 3)]


def test_venue_sees_the_market_before_the_shard_and_our_messages_one_latency_later(fresh: Fresh) -> None:
    latencies = (LATENCY, 3 * LATENCY)
    runner = Runner(fresh(), latencies=latencies)
    runner.finish()
    for venue, latency in zip(runner.venues, latencies, strict=True):
        seen = [tuple(entry.split("@")) for entry in venue.seen]
        market = [int(ts) for kind, ts in seen if kind == "UnderlyingUpdated"]
        quotes = [int(ts) for kind, ts in seen if kind == "QuotesCleared"]
        assert sorted(set(quotes)) == [ts + latency for ts in market]
        answers = [
            event for source, event, _ in runner.kept.inputs
            if source == f"venue.V{venue.index}" and isinstance(event, e.QuotesAcknowledged)
        ]  # fmt: skip
        assert [event.ts_event for event in answers] == quotes
        assert [event.ts_init for event in answers] == [ts + latency for ts in quotes]


def test_fills_reach_the_position_and_agree_with_the_venues(fresh: Fresh) -> None:
    runner = Runner(fresh(), feed=day(6))
    runner.finish()
    held = runner.shard.stages(XYZ)[3]
    sold = sum((venue.positions()[0] for venue in runner.venues), np.zeros(4, np.int64))
    assert sold.sum() > 0
    assert unpack("positions", 1, held.snapshot())["quantity"].tolist() == sold.tolist()


def test_run_is_the_same_on_every_run(fresh: Fresh) -> None:
    one, two = Runner(fresh()), Runner(fresh())
    assert one.finish() == two.finish()
    assert journal_bytes(one.folder) == journal_bytes(two.folder)
    assert one.run.digest.count == len(list(JournalReader(one.folder)))


def test_inputs_are_journaled_before_their_outputs(fresh: Fresh) -> None:
    runner = Runner(fresh())
    runner.finish()
    records = list(JournalReader(runner.folder))
    flat = [
        (kind, source, event)
        for source, given_event, outputs in runner.kept.inputs
        for kind, event in [(Kind.INPUT, given_event), *((Kind.OUTPUT, output) for output in outputs)]
    ]
    assert [(record.kind, record.source, record.event()) for record in records] == flat


def test_input_is_journaled_before_it_is_applied(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies inside a stage: the input is in the journal, and nothing of what came of it."""

    class Death(BaseException):
        pass

    runner = Runner(fresh())
    runner.run.run(OPEN)
    pricer = runner.shard.stages(XYZ)[0]

    def die(_: Event) -> list[Event]:
        raise Death

    monkeypatch.setattr(pricer, "apply", die)
    with pytest.raises(Death):
        runner.run.run()
    last = list(JournalReader(runner.folder))[-1]
    assert (last.kind, last.message.schema) == (Kind.INPUT, "UnderlyingUpdated")


# --- bad input --------------------------------------------------------------------------------------------------------


def test_clock_running_backwards_is_refused_and_the_venues_do_not_see_it(fresh: Fresh) -> None:
    items = [item.event for item in day()]
    late = OPEN + SECOND // 2
    items.insert(5, tick(late, bid=7))
    runner = Runner(fresh(), feed=[FeedItem("tiny", offset, event) for offset, event in enumerate(items)])
    runner.finish()
    rejected = [
        output for _, _, outputs in runner.kept.inputs for output in outputs if isinstance(output, e.EventRejected)
    ]
    assert [event.error for event in rejected] == [
        f"clock went backwards [source='tiny' offset=5 last={late + SECOND} received={late}]"
    ]
    assert not any(str(late) in entry for entry in runner.venues[0].seen)


def test_repeated_feed_record_is_neither_journaled_nor_applied(fresh: Fresh) -> None:
    items = day()
    plain, doubled = Runner(fresh(), feed=items), Runner(fresh(), feed=[*items[:5], items[3], items[4], *items[5:]])
    assert plain.run.run() is doubled.run.run() is Outcome.FINISHED
    inputs = [[record for record in JournalReader(run.folder) if record.kind is Kind.INPUT] for run in (plain, doubled)]
    assert [record.message for record in inputs[0] if record.source == "tiny"] == [
        record.message for record in inputs[1] if record.source == "tiny"
    ]


# --- people -----------------------------------------------------------------------------------------------------------


def test_command_is_applied_now_journaled_and_answered(fresh: Fresh) -> None:
    runner = Runner(fresh(), control=People(script()))
    runner.finish()
    assert [type(command).__name__ for command, _ in runner.control.answers] == [
        "PauseQuoting",
        "ResumeQuoting",
        "PauseQuoting",
    ]
    assert any(isinstance(output, e.CommandApplied) for output in runner.control.answers[0][1])
    journaled = [
        record for record in JournalReader(runner.folder) if record.source == "ops" and record.kind is Kind.INPUT
    ]
    assert [record.message.schema for record in journaled] == ["PauseQuoting", "ResumeQuoting", "PauseQuoting"]
    offsets = [record.offset for record in journaled]
    assert offsets == sorted(set(offsets))
    event = journaled[0].event()
    assert isinstance(event, c.PauseQuoting)
    assert (event.user, event.reason) == ("u", "r")
    assert event.ts_event >= OPEN


def test_stop_pulls_the_quotes_and_waits_for_the_answers(fresh: Fresh) -> None:
    runner = Runner(fresh(), feed=day(5), control=People(stop_at=20))
    assert runner.run.run() is Outcome.STOPPED
    assert any(venue.bids.any() for venue in runner.venues)
    runner.run.command(operator(c.PauseQuoting))
    runner.run.drain()
    assert not any(venue.bids.any() for venue in runner.venues)
    assert isinstance(runner.kept.inputs[-1][1], e.QuotesCanceled)


# --- going on ---------------------------------------------------------------------------------------------------------


@given(pause=st.integers(-61, 5), more=st.integers(0, 3))
@IN_FOLDER
def test_run_in_parts_equals_the_run_in_one(fresh: Fresh, pause: int, more: int) -> None:
    whole, parts = Runner(fresh()), Runner(fresh())
    digest = whole.finish()
    for at in (pause, pause + more):
        outcome = parts.run.run(OPEN + at * SECOND + SECOND // 4)
        assert outcome in {Outcome.PAUSED, Outcome.FINISHED}
        if outcome is Outcome.FINISHED:
            break
    assert parts.finish() == digest
    assert journal_bytes(parts.folder) == journal_bytes(whole.folder)


class Cut:
    """A journal that was cut: everything that a killed process left."""

    def __init__(self, fresh: Fresh, feed: list[FeedItem], control: People | None = None) -> None:
        self.feed, self.fresh = feed, fresh
        self.whole = Runner(fresh(), feed=feed, control=control)
        self.digest = self.whole.finish()
        self.bytes = journal_bytes(self.whole.folder)
        self.records = list(JournalReader(self.whole.folder))

    def at(self, record: Record, extra: int = 0) -> Path:
        """A journal that ends after a record and some bytes of the next."""
        kept = {name: data for name, data in self.bytes.items() if name < record.segment.name}
        return write_journal(
            self.fresh(), kept | {record.segment.name: self.bytes[record.segment.name][: record.end + extra]}
        )


def test_resume_from_a_journal_cut_after_any_record_equals_the_whole_run(fresh: Fresh) -> None:
    """Every cut point of a run with fills, timers and commands; with a few bytes of the next record behind it."""
    cut = Cut(fresh, day(3), People(script()))
    for index, record in enumerate(cut.records[:-1]):
        runner = Runner(cut.at(record, extra=index % 30), feed=cut.feed, resume=True, control=People(script()))
        assert runner.finish() == cut.digest, record
        assert journal_bytes(runner.folder).keys() == cut.bytes.keys()
        assert stripped(runner.folder) == stripped(cut.whole.folder), record
        assert runner.run.inputs_applied == cut.whole.run.inputs_applied


def stripped(folder: Path) -> list[object]:
    """What a journal says, without the wall time of commands."""
    return [
        (record.sequence, record.kind, record.source, record.offset, b"|".join(canonical(record.event())))
        for record in JournalReader(folder)
    ]


def test_resume_from_a_snapshot_equals_the_whole_run(fresh: Fresh) -> None:
    """A snapshot, a kill at a later record: the journal in between is checked, then it goes on."""
    cut = Cut(fresh, day(3), People(script()))
    donor = Runner(fresh(), feed=cut.feed, control=People(script()))
    states: list[tuple[int, bytes]] = []
    for second in range(-60, 5):
        if donor.run.run(OPEN + second * SECOND + 2 * LATENCY) is Outcome.FINISHED:
            break
        states.append((donor.journal.next_sequence, donor.run.snapshot()))
    inputs = [record for record in cut.records if record.kind is Kind.INPUT][:-1]
    for sequence, state in dict(states).items():
        later = [record for record in inputs if record.sequence >= sequence]
        for record in (*later[:3], *later[3::7]):
            runner = Runner(cut.at(record), feed=cut.feed, resume=True, snapshot=state, control=People(script()))
            assert runner.finish() == cut.digest, (sequence, record)
            assert stripped(runner.folder) == stripped(cut.whole.folder)
            assert runner.run.inputs_applied == cut.whole.run.inputs_applied


@given(
    at=st.integers(0, 45), latencies=st.sampled_from([(LATENCY, LATENCY), (LATENCY, 2 * LATENCY), (1, SECOND), (0, 0)])
)
@IN_FOLDER
def test_stopped_run_goes_on_wherever_it_was_stopped(fresh: Fresh, at: int, latencies: tuple[int, int]) -> None:
    """A stop drains what is in flight ahead of the recording; the journal says so, and a resume does the same."""
    feed = day(4)
    first = Runner(fresh(), feed=feed, control=People(stop_at=at), latencies=latencies)
    if first.run.run() is Outcome.STOPPED:
        first.run.command(operator(c.PauseQuoting))
        first.run.drain()
        inputs = first.run.inputs_applied
        first.journal.close()
        resumed = Runner(first.folder, feed=feed, resume=True, latencies=latencies)
        digest = resumed.finish()
        assert resumed.run.inputs_applied > inputs
        again = Runner(cut_before_end(resumed.folder, fresh()), feed=feed, resume=True, latencies=latencies)
        assert again.finish() == digest


def cut_before_end(folder: Path, into: Path) -> Path:
    """The journal without its last input and what came of it."""
    last = [record for record in JournalReader(folder) if record.kind is Kind.INPUT][-1]
    kept = {name: data for name, data in journal_bytes(folder).items() if name <= last.segment.name}
    return write_journal(into, kept | {last.segment.name: kept[last.segment.name][: last.start]})


@pytest.mark.fuzz
@given(
    seconds=st.integers(1, 4),
    share=st.floats(0, 1),
    commands=st.dictionaries(st.integers(0, 30), st.sampled_from([c.PauseQuoting, c.ResumeQuoting]), max_size=3),
    latencies=st.tuples(*[st.sampled_from([0, 1, LATENCY, 2 * LATENCY, SECOND, 5 * SECOND])] * 2),
)
@IN_FOLDER
def test_kill_anywhere_changes_nothing(
    fresh: Fresh,
    seconds: int,
    share: float,
    commands: dict[int, type[c.OperatorCommand]],
    latencies: tuple[int, int],
) -> None:
    feed = day(seconds)
    people = {2 * step: (operator(kind),) for step, kind in commands.items()}
    whole = Runner(fresh(), feed=feed, control=People(people), latencies=latencies)
    digest = whole.finish()
    files = journal_bytes(whole.folder)
    name = sorted(files)[int(share * (len(files) - 1))]
    records = list(JournalReader(whole.folder))
    floor = records[0].end if name == min(files) else 0
    size = max(floor, int(share * len(files[name])))
    kept = {other: data for other, data in files.items() if other < name} | {name: files[name][:size]}
    folder = write_journal(fresh(), kept)
    last = [record for record in JournalReader(folder) if record.kind is Kind.INPUT][-1]
    if last.message.schema == "RunEnded":
        return
    resumed = Runner(folder, feed=feed, resume=True, control=People(people), latencies=latencies)
    assert resumed.finish() == digest
    assert stripped(folder) == stripped(whole.folder)


def test_kernel_results_of_another_machine_do_not_change_the_past(fresh: Fresh) -> None:
    """A resume whose kernels round differently takes the journal's results up to the cut."""
    cut = Cut(fresh, day(3))
    record = cut.records[len(cut.records) // 2]
    runner = Runner(cut.at(record), feed=cut.feed, resume=True, bias=1e-12)
    runner.finish()
    assert stripped(runner.folder)[: record.sequence - 10] == stripped(cut.whole.folder)[: record.sequence - 10]
    other = Runner(cut.at(record), feed=cut.feed, resume=True, bias=1e-3)
    with pytest.raises(ReplayDiverged, match="outside the tolerance"):
        other.finish()


@pytest.mark.parametrize(
    ("offset", "event"),
    [
        pytest.param(3, tick(OPEN + SECOND, bid=999), id="another price"),
        pytest.param(4, prints(OPEN + SECOND + 5, 1, 1), id="another time"),
        pytest.param(2, session(OPEN, "halted"), id="another state"),
    ],
)
def test_changed_input_is_named_by_its_sequence(fresh: Fresh, offset: int, event: Event) -> None:
    cut = Cut(fresh, day(3))
    record = next(item for item in cut.records if (item.source, item.offset) == ("tiny", offset))
    changed = [*cut.feed[:offset], FeedItem("tiny", offset, event), *cut.feed[offset + 1 :]]
    runner = Runner(cut.at(cut.records[-2]), feed=changed, resume=True)
    with pytest.raises(ReplayDiverged, match="input differs") as caught:
        runner.finish()
    assert caught.value.fields["sequence"] == record.sequence
    assert str(caught.value.fields["journaled"]).startswith(f"tiny@{offset} ")


def test_segments_of_a_resumed_run_are_those_of_the_whole_run(fresh: Fresh) -> None:
    cut = Cut(fresh, day(6))
    assert len(cut.bytes) > 2
    for record in cut.records[10::9]:
        runner = Runner(cut.at(record), feed=cut.feed, resume=True)
        runner.finish()
        assert journal_bytes(runner.folder) == cut.bytes
    assert segments(cut.whole.folder)[0].stat().st_size >= 16 * 1024

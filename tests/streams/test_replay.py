"""A journal replays to its own digest on any machine, and what was altered is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from domain import commands as c
from domain import events as e
from domain.codec import encode
from domain.events_base import Event
from streams.digest import Digest
from streams.journal import JournalReader, JournalTail, JournalWriter, Kind, Record
from streams.replay import Replay, Replayed, diff, first_difference, grouped
from streams.shard import Shard
from tests.streams.conftest import OPEN, SECOND, XYZ, People, Runner, day, prints, stages, tick

Fresh = Callable[[], Path]
Change = Callable[[Record, Event], list[Event]]


@pytest.fixture
def runner(fresh: Fresh) -> Runner:
    """A finished run with fills and an operator's commands."""
    pause = c.PauseQuoting(ts_event=0, ts_init=0, underlying=XYZ, user="u", reason="r")
    resume = c.ResumeQuoting(ts_event=0, ts_init=0, underlying=XYZ, user="u", reason="r")
    found = Runner(fresh(), feed=day(4), control=People({60: (pause,), 66: (resume,)}))
    found.finish()
    return found


def replay(folder: Path, bias: float = 0.0, **fields: Any) -> Replayed:  # noqa: ANN401  # the fields of Replay
    return Replay(Shard("0", lambda *_: stages(bias)), **fields).run(grouped(JournalReader(folder)))


def rewritten(folder: Path, into: Path, change: Change) -> Path:
    """The journal with other events in it, correctly chained: what only a replay can find."""
    writer = JournalWriter(into)
    for record in JournalReader(folder):
        for event in change(record, record.event()):
            writer.append(record.kind, record.source, record.offset, encode(event))
    writer.close()
    return into


def find(folder: Path, schema: str, kind: Kind = Kind.OUTPUT) -> Record:
    return [record for record in JournalReader(folder) if (record.message.schema, record.kind) == (schema, kind)][1]


# --- replay -----------------------------------------------------------------------------------------------------------


def test_replay_gives_the_digest_of_the_run(runner: Runner) -> None:
    found = replay(runner.folder)
    assert found.is_equal
    assert found.digest == found.journal_digest == runner.run.digest.hex()
    assert found.inputs == runner.run.inputs_applied
    assert found.inputs + found.outputs == len(list(JournalReader(runner.folder)))


def test_replay_shows_every_event_in_the_order_of_the_journal(runner: Runner) -> None:
    seen: list[tuple[Kind, str, Event]] = []
    replay(
        runner.folder,
        on_event=lambda is_input, source, event: seen.append((Kind.INPUT if is_input else Kind.OUTPUT, source, event)),
    )
    assert seen == [(record.kind, record.source, record.event()) for record in JournalReader(runner.folder)]


def test_replay_on_another_machine_takes_the_kernels_results_from_the_journal(runner: Runner) -> None:
    assert replay(runner.folder, bias=1e-11).digest == runner.run.digest.hex()
    found = replay(runner.folder, bias=1e-3)
    assert not found.is_equal
    first = next(record for record in JournalReader(runner.folder) if record.message.schema == "UnderlyingUpdated")
    assert found.difference.startswith(f"sequence {first.sequence}: replay diverged")
    assert "theo" in found.difference


def test_journal_of_a_killed_run_replays_to_where_it_was_cut(runner: Runner, fresh: Fresh) -> None:
    """Its last input may lack outputs: they are not missed."""
    records = list(JournalReader(runner.folder))
    last = max(record.sequence for record in records if record.message.schema == "UnderlyingUpdated")
    digests = []
    for keep in range(last, last + 3):

        def change(record: Record, event: Event, keep: int = keep) -> list[Event]:
            return [event] if record.sequence <= keep else []

        found = replay(rewritten(runner.folder, fresh(), change))
        assert found.is_equal, found.difference
        digests.append(found.digest)
    expected = Digest()
    shard = Shard("0", lambda *_: stages())
    for record in records[: last + 1]:
        if record.kind is Kind.INPUT:
            event = record.event()
            expected.update(event, shard.handle(record.source, record.offset, event))
    assert digests == [expected.hex()] * 3


def test_tampered_output_is_named(runner: Runner, fresh: Fresh) -> None:
    target = find(runner.folder, "PositionChanged")
    parent = max(
        record.sequence for record in JournalReader(runner.folder)
        if record.kind is Kind.INPUT and record.sequence < target.sequence
    )  # fmt: skip

    def change(record: Record, event: Event) -> list[Event]:
        return [msgspec.structs.replace(event, quantity=999)] if record.sequence == target.sequence else [event]

    found = replay(rewritten(runner.folder, fresh(), change))
    assert not found.is_equal
    assert found.digest == runner.run.digest.hex()
    assert found.journal_digest != found.digest
    assert found.difference.startswith(f"sequence {parent}, output {target.sequence - parent - 1}: PositionChanged at")
    assert "against 999" in found.difference


@pytest.mark.parametrize(("copies", "side"), [(0, "first"), (2, "second")])
def test_output_that_is_missing_or_too_many_is_named(runner: Runner, fresh: Fresh, copies: int, side: str) -> None:
    target = find(runner.folder, "QuotesCleared")
    folder = rewritten(
        runner.folder,
        fresh(),
        lambda record, event: [event] * (copies if record.sequence == target.sequence else 1),
    )
    found = replay(folder)
    assert not found.is_equal
    assert found.difference.endswith(f"QuotesCleared only in the {side}")


def test_tampered_input_changes_what_comes_of_it(runner: Runner, fresh: Fresh) -> None:
    target = find(runner.folder, "ExecutionReported", Kind.INPUT)

    def change(record: Record, event: Event) -> list[Event]:
        return [msgspec.structs.replace(event, last_qty=7)] if record.sequence == target.sequence else [event]

    found = replay(rewritten(runner.folder, fresh(), change))
    assert found.difference.startswith(f"sequence {target.sequence}, output 0: OrderFilled")
    assert "quantity 7 against 1" in found.difference


def test_groups_begin_at_the_input_of_a_sequence(runner: Runner) -> None:
    records = list(JournalReader(runner.folder))
    inputs = [record for record in records if record.kind is Kind.INPUT]
    whole = list(grouped(records))
    assert [record for record, _ in whole] == inputs
    assert sum(1 + len(outputs) for _, outputs in whole) == len(records)
    for index in (0, 3, len(inputs) - 1):
        assert list(grouped(records, inputs[index].sequence)) == whole[index:]
    assert list(grouped(records, len(records))) == []


# --- differences ------------------------------------------------------------------------------------------------------


def test_run_does_not_differ_from_itself_run_again(runner: Runner, fresh: Fresh) -> None:
    again = Runner(fresh(), feed=day(4), control=runner.control)
    again.finish()
    assert diff(JournalReader(runner.folder), JournalReader(again.folder)) == ""


def test_run_id_and_time_of_sight_are_no_difference(runner: Runner, fresh: Fresh) -> None:
    def change(_: Record, event: Event) -> list[Event]:
        changed = msgspec.structs.replace(event, ts_init=5)
        return [msgspec.structs.replace(changed, run="other") if isinstance(changed, e.RunStarted) else changed]

    assert diff(JournalReader(runner.folder), JournalReader(rewritten(runner.folder, fresh(), change))) == ""


def test_first_difference_of_two_runs_names_event_field_and_values(runner: Runner, fresh: Fresh) -> None:
    feed = day(4)
    event = feed[5].event
    other = Runner(
        fresh(), feed=[*feed[:5], feed[5]._replace(event=msgspec.structs.replace(event, bid_size=9)), *feed[6:]]
    )
    other.finish()
    record = next(record for record in JournalReader(runner.folder) if (record.source, record.offset) == ("tiny", 5))
    text = diff(JournalReader(runner.folder), JournalReader(other.folder))
    assert text == (
        f"sequence {record.sequence} (input of tiny): UnderlyingUpdated at {OPEN + 2 * SECOND}: bid_size 1 against 9"
    )


def test_difference_of_a_frame_names_column_row_and_values(runner: Runner, fresh: Fresh) -> None:
    target = find(runner.folder, "GreeksComputed")

    def change(record: Record, event: Event) -> list[Event]:
        if record.sequence != target.sequence or not isinstance(event, e.GreeksComputed):
            return [event]
        theo = event.frame.theo.copy()
        theo[2] = 0.25
        columns = event.frame.columns() | {"theo": theo}
        return [msgspec.structs.replace(event, frame=type(event.frame).from_columns(columns))]

    text = diff(JournalReader(runner.folder), JournalReader(rewritten(runner.folder, fresh(), change)))
    assert text.startswith(f"sequence {target.sequence} (output of tiny): GreeksComputed at")
    assert "column theo, row 2" in text
    assert "0.25" in text


def test_frames_of_other_lengths_and_nan_are_told_apart() -> None:
    one, two = prints(OPEN, 1, 5), prints(OPEN, 1, 5)
    two = msgspec.structs.replace(two, frame=two.frame.take(np.array([0, 0])))
    assert first_difference(3, [one], [two]) == f"sequence 3, output 0: TradesPrinted at {OPEN}: 1 rows against 2"
    priced = list(stages()[0].apply(tick(OPEN)))
    assert np.isnan(priced[0].frame.delta).all()
    assert first_difference(3, priced, list(stages()[0].apply(tick(OPEN)))) == ""


def test_other_kind_of_event_or_other_place_is_named(runner: Runner, fresh: Fresh) -> None:
    target = find(runner.folder, "TimerFired", Kind.INPUT)
    swapped = rewritten(
        runner.folder, fresh(), lambda record, event: [tick(7)] if record.sequence == target.sequence else [event]
    )
    text = diff(JournalReader(runner.folder), JournalReader(swapped))
    assert text.endswith(f"TimerFired at {target.event().ts_event} against UnderlyingUpdated at 7")
    moved = fresh()
    writer = JournalWriter(moved)
    for record in JournalReader(runner.folder):
        source = "elsewhere" if record.sequence == target.sequence else record.source
        writer.append(record.kind, source, record.offset, record.message)
    writer.close()
    text = diff(JournalReader(runner.folder), JournalReader(moved))
    ts = target.event().ts_event
    assert text == (
        f"sequence {target.sequence}: input timer@1 TimerFired at {ts} against input elsewhere@1 TimerFired at {ts}"
    )


def test_longer_journal_is_named(runner: Runner, fresh: Fresh) -> None:
    short = rewritten(runner.folder, fresh(), lambda _, event: [event])
    last, _, _ = JournalTail.cut_after_last_input(short)
    whole = list(JournalReader(runner.folder))
    longer = [*whole, whole[-1]._replace(sequence=len(whole))]
    assert diff(longer, whole) == f"sequence {len(whole)}: {whole[-1].message.schema} only in the first journal"
    assert diff(whole, longer) == f"sequence {len(whole)}: {whole[-1].message.schema} only in the second journal"
    assert last.message.schema == "RunEnded"

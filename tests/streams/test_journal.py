"""What was written is read back, and no damage is taken for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axiom.telemetry import PrometheusMetrics
from domain.codec import Encoded
from domain.errors import DataError, InputError, JournalCorrupt
from streams.journal import GENESIS, MAX_PAYLOAD, JournalReader, JournalTail, JournalWriter, Kind, Record, segments
from tests.streams.conftest import journal_bytes, write_journal

IN_FOLDER: Final = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
Fresh = Callable[[], Path]
Entry = tuple[Kind, str, int, Encoded]

ENTRIES: Final = st.lists(
    st.tuples(
        st.sampled_from(Kind),
        st.text(max_size=8),
        st.integers(-(2**62), 2**62),
        st.builds(Encoded, st.text(max_size=8), st.integers(0, 255), st.binary(max_size=40)),
    ),
    min_size=1,
    max_size=12,
)


def written(folder: Path, entries: list[Entry], segment_bytes: int = 1 << 20) -> Path:
    writer = JournalWriter(folder, segment_bytes=segment_bytes)
    for entry in entries:
        writer.append(*entry)
    writer.close()
    return folder


def plain(records: list[Record]) -> list[Entry]:
    return [(record.kind, record.source, record.offset, record.message) for record in records]


def six(folder: Path) -> Path:
    """Six records: input, output, input, output, input, output."""
    message = Encoded("TimerFired", 1, b'{"timer":"1s"}')
    return written(folder, [(Kind.OUTPUT if i % 2 else Kind.INPUT, "tiny", i // 2, message) for i in range(6)])


@pytest.mark.fuzz
@given(entries=ENTRIES, segment_bytes=st.sampled_from([1, 100, 300, 1 << 20]))
@IN_FOLDER
def test_reading_gives_what_was_written(fresh: Fresh, entries: list[Entry], segment_bytes: int) -> None:
    folder = written(fresh(), entries, segment_bytes)
    reader = JournalReader(folder)
    found = list(reader)
    assert plain(found) == entries
    assert [record.sequence for record in found] == list(range(len(entries)))
    assert found[0].chain == GENESIS
    assert len({record.chain for record in found}) == len(entries)
    assert reader.torn_bytes == 0


@given(entries=ENTRIES)
@IN_FOLDER
def test_one_call_for_several_records_writes_the_same_bytes(fresh: Fresh, entries: list[Entry]) -> None:
    messages = [message for _, _, _, message in entries]
    folder = fresh()
    writer = JournalWriter(folder)
    assert writer.append_all(Kind.OUTPUT, "s", 3, messages) == len(messages) - 1
    writer.close()
    assert journal_bytes(folder) == journal_bytes(
        written(fresh(), [(Kind.OUTPUT, "s", 3, message) for message in messages])
    )


@given(entries=ENTRIES, seals=st.lists(st.booleans(), min_size=12, max_size=12))
@IN_FOLDER
def test_chain_does_not_depend_on_when_it_is_sealed(fresh: Fresh, entries: list[Entry], seals: list[bool]) -> None:
    folder = fresh()
    writer = JournalWriter(folder)
    for entry, is_sealed in zip(entries, seals, strict=False):
        writer.append(*entry)
        if is_sealed:
            writer.seal()
    writer.close()
    assert journal_bytes(folder) == journal_bytes(written(fresh(), entries))


def test_segments_roll_and_no_record_is_split(fresh: Fresh) -> None:
    entries = [(Kind.INPUT, "s", i, Encoded("A", 1, bytes(60))) for i in range(20)]
    folder = written(fresh(), entries, 300)
    files = segments(folder)
    assert [path.name for path in files] == [f"{i:06d}.journal" for i in range(len(files))]
    assert len(files) > 3
    assert all(path.stat().st_size >= 300 for path in files[:-1])
    assert plain(list(JournalReader(folder))) == entries


@pytest.mark.fuzz
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
@IN_FOLDER
def test_any_flipped_byte_is_corruption(fresh: Fresh, position: int, flip: int) -> None:
    """In the last record too: a killed process leaves a short record, never an altered one."""
    folder = six(fresh())
    path = segments(folder)[0]
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= flip
    path.write_bytes(data)
    with pytest.raises(JournalCorrupt):
        list(JournalReader(folder))


def test_flipped_length_is_not_taken_for_a_torn_tail(fresh: Fresh) -> None:
    folder = six(fresh())
    path = segments(folder)[0]
    data = bytearray(path.read_bytes())
    data[2] ^= 1  # 65,536 more than the file holds
    path.write_bytes(data)
    with pytest.raises(JournalCorrupt, match="prefix"):
        JournalTail.cut_after_last_input(folder)
    assert path.read_bytes() == bytes(data)


@pytest.mark.fuzz
@given(share=st.floats(0, 1, exclude_max=True))
@IN_FOLDER
def test_cut_anywhere_leaves_a_readable_prefix(fresh: Fresh, share: float) -> None:
    folder = six(fresh())
    whole = list(JournalReader(folder))
    path = segments(folder)[0]
    size = int(share * path.stat().st_size)
    path.write_bytes(path.read_bytes()[:size])
    reader = JournalReader(folder)
    kept = [record for record in whole if record.end <= size]
    assert list(reader) == kept
    assert reader.torn_bytes == size - (kept[-1].end if kept else 0)


def test_every_cut_of_the_last_record_is_a_torn_tail(fresh: Fresh) -> None:
    folder = six(fresh())
    whole = list(JournalReader(folder))
    data = segments(folder)[0].read_bytes()
    for size in range(whole[-1].start, len(data)):
        reader = JournalReader(write_journal(fresh(), {"000000.journal": data[:size]}))
        assert list(map(str, plain(list(reader)))) == list(map(str, plain(whole[:-1])))
        assert reader.torn_bytes == size - whole[-1].start


def test_record_cut_off_before_the_last_segment_is_corruption(fresh: Fresh) -> None:
    folder = written(fresh(), [(Kind.INPUT, "s", i, Encoded("A", 1, bytes(60))) for i in range(9)], 200)
    first = segments(folder)[0]
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(JournalCorrupt, match="before the last segment"):
        list(JournalReader(folder))


def rearranged(folder: Path, order: list[int], into: Path) -> Path:
    data = segments(folder)[0].read_bytes()
    records = list(JournalReader(folder))
    parts = b"".join(data[records[i].start : records[i].end] for i in order)
    return write_journal(into, {"000000.journal": parts})


@pytest.mark.parametrize(
    "order",
    [
        pytest.param([1, 2, 3, 4, 5], id="first removed"),
        pytest.param([0, 1, 3, 4, 5], id="one removed"),
        pytest.param([0, 2, 1, 3, 4, 5], id="two swapped"),
        pytest.param([0, 1, 1, 2, 3, 4, 5], id="one twice"),
        pytest.param([0, 1, 2, 3, 4, 5, 5], id="last twice"),
        pytest.param([5, 4, 3, 2, 1, 0], id="reversed"),
    ],
)
def test_records_removed_moved_or_repeated_are_corruption(fresh: Fresh, order: list[int]) -> None:
    folder = rearranged(six(fresh()), order, fresh())
    with pytest.raises(JournalCorrupt, match="chain or sequence"):
        list(JournalReader(folder))


def test_record_of_another_journal_breaks_the_chain(fresh: Fresh) -> None:
    """The same sequence number and a good checksum are not enough."""
    one = six(fresh())
    other = written(fresh(), [(Kind.INPUT, "x", i, Encoded("B", 1, b"")) for i in range(6)])
    records, data = list(JournalReader(one)), segments(one)[0].read_bytes()
    foreign = list(JournalReader(other))[3]
    part = segments(other)[0].read_bytes()[foreign.start : foreign.end]
    mixed = data[: records[3].start] + part + data[records[3].end :]
    with pytest.raises(JournalCorrupt):
        list(JournalReader(write_journal(fresh(), {"000000.journal": mixed})))


def test_missing_segment_is_corruption(fresh: Fresh) -> None:
    folder = written(fresh(), [(Kind.INPUT, "s", i, Encoded("A", 1, bytes(60))) for i in range(20)], 300)
    segments(folder)[1].unlink()
    with pytest.raises(JournalCorrupt):
        list(JournalReader(folder))


@pytest.mark.fuzz
@given(entries=ENTRIES, more=ENTRIES, share=st.floats(0, 1), segment_bytes=st.sampled_from([1, 100, 1 << 20]))
@IN_FOLDER
def test_journal_goes_on_after_a_cut_as_if_never_killed(
    fresh: Fresh, entries: list[Entry], more: list[Entry], share: float, segment_bytes: int
) -> None:
    """Cut at any byte, drop what follows the last input, append: the bytes are those of one uninterrupted journal."""
    entries = [(Kind.INPUT, "first", 0, Encoded("A", 1, b"")), *entries]
    folder = written(fresh(), entries, segment_bytes)
    files = segments(folder)
    keep = max(1, round(share * len(files)))
    for path in files[keep:]:
        path.unlink()
    last_file = files[keep - 1]
    if keep > 1:
        last_file.write_bytes(last_file.read_bytes()[: int(share * last_file.stat().st_size)])
    before = sum(path.stat().st_size for path in segments(folder))
    last, tail, cut = JournalTail.cut_after_last_input(folder)
    assert last.kind is Kind.INPUT
    assert before - cut == sum(path.stat().st_size for path in segments(folder))
    assert tail.next_sequence == last.sequence + 1
    kept = list(JournalReader(folder))
    assert kept[-1] == last
    writer = JournalWriter(folder, next_sequence=tail.next_sequence, chain=tail.chain, segment_bytes=segment_bytes)
    for entry in more:
        writer.append(*entry)
    writer.close()
    assert journal_bytes(folder) == journal_bytes(written(fresh(), [*plain(kept), *more], segment_bytes))


def test_journal_without_input_or_segment_is_refused(fresh: Fresh) -> None:
    folder = written(fresh(), [(Kind.OUTPUT, "s", 0, Encoded("A", 1, b""))])
    with pytest.raises(DataError, match="no input"):
        JournalTail.cut_after_last_input(folder)
    with pytest.raises(DataError, match="no segments"):
        JournalReader(fresh())


def test_record_that_no_reader_accepts_is_refused_before_it_is_written(fresh: Fresh) -> None:
    folder = fresh()
    writer = JournalWriter(folder)
    with pytest.raises(InputError, match="too long"):
        writer.append_all(Kind.OUTPUT, "s", 0, [Encoded("A", 1, b""), Encoded("A", 1, bytes(MAX_PAYLOAD + 1))])
    writer.close()
    assert segments(folder)[0].stat().st_size == 0


def test_bytes_are_counted_as_they_reach_the_file(fresh: Fresh) -> None:
    metrics, folder = PrometheusMetrics(), fresh()
    writer = JournalWriter(folder, segment_bytes=100, metrics=metrics)
    for record in range(3):
        writer.append_all(Kind.OUTPUT, "s", record, [Encoded("A", 1, b"x" * 40), Encoded("B", 1, b"")])
        counted = metrics.registry.get_sample_value("axiom_journal_bytes_total", {"label": ""})
        assert counted == sum(segment.stat().st_size for segment in segments(folder))
    writer.close()
    assert len(segments(folder)) > 1


def test_fsync_changes_nothing_but_durability(fresh: Fresh) -> None:
    folder = fresh()
    writer = JournalWriter(folder, fsync=True)
    writer.append(Kind.INPUT, "s", 0, Encoded("A", 1, b"x"))
    writer.close()
    assert journal_bytes(folder) == journal_bytes(written(fresh(), [(Kind.INPUT, "s", 0, Encoded("A", 1, b"x"))]))

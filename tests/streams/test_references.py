from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from streams.references import Applied, Reference, decode_applied, encode_applied

TOPICS = ("market.nbbo", "market.underlying", "orders.reports")
OFFSETS = st.integers(0, 2**62)
STRETCHES = st.builds(
    Applied, OFFSETS, st.lists(st.builds(Reference, st.sampled_from(TOPICS), OFFSETS), max_size=50).map(tuple)
)


@given(STRETCHES)
def test_what_is_written_is_read(applied: Applied) -> None:
    assert decode_applied(encode_applied(applied, TOPICS), TOPICS) == applied


def test_neighbours_take_two_bytes() -> None:
    stretch = Applied(7, tuple(Reference(TOPICS[0], 1_000_000 + step) for step in range(100)))
    assert len(encode_applied(stretch, TOPICS)) <= 1 + 4 + 2 * 100


@given(STRETCHES.filter(lambda applied: applied.references), st.data())
def test_a_cut_is_refused_or_a_shorter_stretch(applied: Applied, data: st.DataObject) -> None:
    whole = encode_applied(applied, TOPICS)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        found = decode_applied(cut, TOPICS)
    except DataError:
        return
    assert len(found.references) < len(applied.references)


def test_a_topic_of_another_group_is_refused() -> None:
    data = encode_applied(Applied(0, (Reference(TOPICS[2], 5),)), TOPICS)
    with pytest.raises(DataError, match="unknown topic"):
        decode_applied(data, TOPICS[:2])


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        decode_applied(data, TOPICS)
    except DataError:
        return

"""The digest stands for every decision and for nothing else."""

from __future__ import annotations

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.events_base import Event
from streams.digest import Digest
from tests.streams.conftest import OPEN, prints, run_started, tick

EVENTS = st.one_of(
    st.builds(tick, st.integers(0, 5), st.integers(0, 3)),
    st.builds(prints, st.integers(0, 5), st.integers(0, 3), st.integers(0, 3)),
)
GROUPS = st.lists(st.tuples(EVENTS, st.lists(EVENTS, max_size=3)), max_size=6)
Groups = list[tuple[Event, list[Event]]]


def digest(groups: Groups) -> Digest:
    found = Digest()
    for event, outputs in groups:
        found.update(event, outputs)
    return found


@given(groups=GROUPS)
def test_equal_events_give_an_equal_digest_whenever_and_wherever_they_were_seen(groups: Groups) -> None:
    later = [
        (
            msgspec.structs.replace(event, ts_init=event.ts_init + 9),
            [msgspec.structs.replace(output, ts_init=77) for output in outputs],
        )
        for event, outputs in groups
    ]
    assert digest(groups).hex() == digest(later).hex()
    assert digest(groups).count == sum(1 + len(outputs) for _, outputs in groups)
    one, other = Digest(), Digest()
    one.update(run_started("a"), [])
    other.update(run_started("b"), [])
    assert one.hex() == other.hex()


@given(left=GROUPS, right=GROUPS)
def test_different_events_give_a_different_digest(left: Groups, right: Groups) -> None:
    assume([_plain(*group) for group in left] != [_plain(*group) for group in right])
    assert digest(left).hex() != digest(right).hex()


def _plain(event: Event, outputs: list[Event]) -> list[Event]:
    return [msgspec.structs.replace(item, ts_init=0) for item in (event, *outputs)]


@given(groups=GROUPS, at=st.integers(0, 6))
def test_digest_goes_on_from_its_state(groups: Groups, at: int) -> None:
    first = digest(groups[:at])
    second = Digest(first.state)
    for event, outputs in groups[at:]:
        second.update(event, outputs)
    assert second.hex() == digest(groups).hex()


def test_order_counts() -> None:
    one, two = tick(OPEN), tick(OPEN, 2)
    assert digest([(one, []), (two, [])]).hex() != digest([(two, []), (one, [])]).hex()

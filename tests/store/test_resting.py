"""Working quotes are what the venues acknowledged, less what they refused, canceled, executed or removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domain.events import QuotesAcknowledged, QuotesCleared, VenueProtectionTripped
from store.resting import ASK, BID, Resting

if TYPE_CHECKING:
    from tests.store.conftest import Tape


def resting_of(tape: Tape) -> Resting:
    resting = Resting(tape.n)
    for _, _, event in tape.items:
        resting.apply(event)
    return resting


def test_a_quote_rests_only_once_its_venue_acknowledged_it(tape: Tape) -> None:
    name = tape.quote(0, [(0, 0, 1.00, 1.10)])
    assert not resting_of(tape).best().is_two_sided.any()
    tape.ack(1, 0, name, 1)
    best = resting_of(tape).best()
    assert best.is_two_sided.tolist() == [True, False]
    assert (best.bid[0], best.ask[0]) == (10_000, 11_000)


def test_a_refused_entry_leaves_what_stood_before(tape: Tape) -> None:
    tape.show(0, [(0, 0, 1.00, 1.10), (0, 1, 2.00, 2.10)])
    name = tape.quote(1, [(0, 0, 1.05, 1.15), (0, 1, 2.05, 2.15)])
    tape.ack(2, 0, name, 1, refused=[0])
    best = resting_of(tape).best()
    assert best.bid.tolist() == [10_000, 20_500]


def test_acknowledgements_of_a_set_in_several_messages_are_matched_in_order(tape: Tape) -> None:
    name = tape.quote(0, [(0, 0, 1.00, 1.10), (0, 1, 2.00, 2.10)])
    tape.ack(1, 0, name, 1)
    assert resting_of(tape).best().is_two_sided.tolist() == [True, False]
    tape.ack(2, 0, name, 1)
    assert resting_of(tape).best().is_two_sided.tolist() == [True, True]


def test_the_best_of_several_venues_counts(tape: Tape) -> None:
    tape.show(0, [(0, 0, 1.00, 1.10), (1, 0, 1.02, 1.12)])
    best = resting_of(tape).best()
    assert (best.bid[0], best.ask[0]) == (10_200, 11_000)


def test_two_sides_at_two_venues_are_no_two_sided_quote(tape: Tape) -> None:
    tape.show(0, [(0, 0, 1.00, 0.0), (1, 0, 0.0, 1.10)])
    best = resting_of(tape).best()
    assert (best.bid[0], best.ask[0]) == (10_000, 11_000)
    assert not best.is_two_sided[0]


def test_a_side_that_traded_out_is_gone_and_a_partial_fill_stays(tape: Tape) -> None:
    tape.show(0, [(0, 0, 1.00, 1.10)])
    tape.fill(1, 0, "buy", 2, 1.00, leaves=3)
    assert resting_of(tape).best().is_two_sided[0]
    tape.fill(2, 0, "buy", 3, 1.00, leaves=0)
    best = resting_of(tape).best()
    assert (best.bid[0], best.ask[0]) == (0, 11_000)


def test_a_cancel_removes_the_named_contracts_or_all(tape: Tape) -> None:
    tape.show(0, [(0, 0, 1.00, 1.10), (0, 1, 2.00, 2.10), (1, 0, 1.00, 1.10)])
    tape.cancel(1, 0, (0,))
    assert resting_of(tape).best().is_two_sided.tolist() == [True, True]
    tape.cancel(2, 1)
    assert resting_of(tape).best().is_two_sided.tolist() == [False, True]


def test_a_protection_removes_the_quotes_of_its_venue(tape: Tape) -> None:
    tape.show(0, [(0, 0, 1.00, 1.10), (1, 1, 2.00, 2.10)])
    tape.hear("venue.VAAA", VenueProtectionTripped(**tape.stamp(1), venue=0, rule="fills"))
    assert resting_of(tape).best().is_two_sided.tolist() == [False, True]


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(1, 50), st.integers(1, 20)), min_size=1, max_size=12
    ),
    cut=st.integers(1, 4),
)
def test_how_a_set_is_cut_into_messages_does_not_matter(rows: list[tuple[int, int, int, int]], cut: int) -> None:
    entries = {(venue, contract): (bid / 10, (bid + width) / 10) for venue, contract, bid, width in rows}
    from tests.store.conftest import Tape

    whole, parts = Tape(), Tape()
    for tape, length in ((whole, len(entries)), (parts, cut)):
        name = tape.quote(0, [(*key, *sides) for key, sides in entries.items()])
        for venue in range(3):
            left = sum(key[0] == venue for key in entries)
            while left > 0:
                tape.ack(1, venue, name, min(length, left))
                left -= length
    one, other = resting_of(whole), resting_of(parts)
    assert np.array_equal(one.price, other.price)
    assert np.array_equal(one.size, other.size)


def test_an_answer_to_an_unknown_set_changes_nothing(tape: Tape) -> None:
    tape.show(0, [(0, 0, 1.00, 1.10)])
    before = resting_of(tape)
    tape.ack(1, 0, "never sent", 1)
    after = resting_of(tape)
    assert np.array_equal(before.size[BID], after.size[BID])
    assert np.array_equal(before.price[ASK], after.price[ASK])


def test_only_clearances_and_answers_are_read(tape: Tape) -> None:
    tape.begin()
    tape.nbbo(0, 0, 1.0, 1.1)
    assert not any(isinstance(event, QuotesCleared | QuotesAcknowledged) for _, _, event in tape.items)
    assert resting_of(tape).size.size == 0

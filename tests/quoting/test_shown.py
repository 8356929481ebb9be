"""What may stand at a venue while our messages travel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.frames import QuoteRefusalFrame
from domain.state import pack, unpack
from quoting.ladder import ASK, BID, Ladder, innermost
from quoting.shown import Shown

VENUES = (0, 2)
EVERY = np.ones((2, 1), np.bool_)


def book(*quotes: tuple[int, int]) -> Ladder:
    """One contract; bid and ask at each venue, 0 absent."""
    price = np.array(quotes, np.int64)[:, :, None]
    return Ladder(price, (price > 0).astype(np.int64) * 5)


def sides(ladder: Ladder) -> list[list[int]]:
    prices: list[list[int]] = ladder.price[:, :, 0].tolist()
    return prices


@pytest.fixture
def shown() -> Shown:
    """Both venues show 100 x 110 and have answered."""
    shown = Shown(VENUES, 1)
    shown.sent(book((100, 110), (100, 110)), EVERY, 1, 0)
    for venue in VENUES:
        shown.acknowledged(venue, 1, 1)
    return shown


def test_the_book_is_what_stands_when_every_venue_has_answered(shown: Shown) -> None:
    assert shown.may_stand() is shown.book


def test_the_old_quote_may_stand_until_the_new_one_is_answered(shown: Shown) -> None:
    shown.sent(book((115, 125), (115, 125)), EVERY, 2, 1)
    assert sides(shown.may_stand()) == [[115, 110], [115, 110]]
    shown.acknowledged(0, 2, 1)
    assert sides(shown.may_stand()) == [[115, 125], [115, 110]]
    shown.acknowledged(2, 2, 1)
    assert sides(shown.may_stand()) == [[115, 125], [115, 125]]


def test_the_best_of_all_unanswered_quotes_may_stand(shown: Shown) -> None:
    shown.sent(book((115, 125), (115, 125)), EVERY, 2, 1)
    shown.sent(book((90, 130), (90, 130)), EVERY, 3, 1)
    assert sides(shown.may_stand()) == [[115, 110], [115, 110]]
    for venue in VENUES:
        shown.acknowledged(venue, 2, 1)
    assert sides(shown.may_stand()) == [[115, 110], [115, 110]]  # the third is on its way still
    for venue in VENUES:
        shown.acknowledged(venue, 3, 1)
    assert sides(shown.may_stand()) == [[90, 130], [90, 130]]


def test_a_canceled_quote_may_stand_until_the_cancel_is_answered(shown: Shown) -> None:
    shown.clear(1)
    shown.canceling(2, 1, 1)
    assert sides(shown.may_stand()) == [[100, 110], [100, 110]]
    shown.cancel_answered(2, 1)
    assert sides(shown.may_stand()) == [[100, 110], [0, 0]]


def test_a_venue_that_went_down_shows_nothing(shown: Shown) -> None:
    shown.sent(book((115, 125), (115, 125)), EVERY, 2, 1)
    shown.disconnected(1)
    shown.acknowledged(0, 2, 1)
    assert sides(shown.may_stand()) == [[115, 125], [0, 0]]


def test_the_quote_before_a_refused_one_may_stand_until_it_is_pulled(shown: Shown) -> None:
    shown.sent(book((115, 125), (115, 125)), EVERY, 2, 1)
    shown.acknowledged(0, 2, 1)
    shown.acknowledged(2, 2, 1)
    refusal = QuoteRefusalFrame(venue=np.array([2]), contract=np.array([0]), reason=np.array([16]))
    assert shown.refused(2, refusal, until=10) == {2: [0]}
    shown.canceling(2, 1, 2)
    assert sides(shown.may_stand()) == [[115, 125], [100, 110]]


def test_a_restored_view_knows_what_may_stand(shown: Shown) -> None:
    shown.sent(book((115, 125), (115, 125)), EVERY, 2, 1)
    other = Shown(VENUES, 1)
    other.restore(unpack("shown", 1, pack("shown", 1, shown.state())))
    assert sides(other.may_stand()) == sides(shown.may_stand())


prices = st.lists(st.integers(0, 9), min_size=3, max_size=3)


@given(st.tuples(prices, prices), st.tuples(prices, prices))
def test_the_innermost_of_two_quotes_is_at_least_as_good_as_either(
    first: tuple[list[int], list[int]], second: tuple[list[int], list[int]]
) -> None:
    one, two = np.array(first, np.int64), np.array(second, np.int64)
    best = innermost(one, two)
    assert best[BID].tolist() == [max(pair) for pair in zip(*(side[BID].tolist() for side in (one, two)), strict=True)]
    asks = zip(one[ASK].tolist(), two[ASK].tolist(), strict=True)
    assert best[ASK].tolist() == [min((ask for ask in pair if ask), default=0) for pair in asks]

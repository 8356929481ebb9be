"""A market input is of this chain and holds no negative number, or no stage sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events as e
from domain.errors import DataError, UnknownContract
from domain.frames import Frame, NbboFrame, OpenInterestFrame, TradeFrame
from streams.admission import admit
from tests.streams.conftest import CONTRACTS, HEAD, session, tick

N = len(CONTRACTS)
KINDS: dict[type[Frame], type[e.Event]] = {
    NbboFrame: e.NbboUpdated,
    TradeFrame: e.TradesPrinted,
    OpenInterestFrame: e.OpenInterestPublished,
}


def event_of(kind: type[Frame], contracts: list[int], spoilt: dict[str, int] | None = None) -> e.Event:
    """An event of good rows; the last row of some columns is changed."""
    columns: dict[str, Any] = {name: np.ones(len(contracts), np.int64) for name in kind.dtypes}
    columns["contract"] = np.array(contracts, np.int64)
    for name, value in (spoilt or {}).items():
        columns[name][-1] = value
    return KINDS[kind](**HEAD, frame=kind(**columns))  # type: ignore[call-arg]  # each of them has a frame


@pytest.mark.parametrize("kind", KINDS)
@given(contracts=st.lists(st.integers(-3, N + 3), max_size=6))
def test_rows_of_the_chain_pass_and_others_are_named(kind: type[Frame], contracts: list[int]) -> None:
    event = event_of(kind, contracts)
    outside = [contract for contract in contracts if not 0 <= contract < N]
    if not outside:
        admit(event, N)
        return
    with pytest.raises(UnknownContract) as caught:
        admit(event, N)
    assert caught.value.fields == {"field": "contract", "value": outside[0], "contracts": N}


@pytest.mark.parametrize(
    ("kind", "column"), [(kind, name) for kind in KINDS for name in kind.dtypes if name != "contract"]
)
def test_negative_number_is_named_with_its_contract(kind: type[Frame], column: str) -> None:
    with pytest.raises(DataError) as caught:
        admit(event_of(kind, [0, 3], {column: -2}), N)
    assert caught.value.fields == {"field": column, "value": -2, "contract": 3}


def test_crossed_quote_passes() -> None:
    admit(event_of(NbboFrame, [0, 1], {"bid": 9, "ask": 2}), N)


def test_negative_quote_or_print_of_the_underlying_is_named() -> None:
    with pytest.raises(DataError, match="field='bid' value=-5"):
        admit(tick(0, -5), N)
    bar = e.UnderlyingTraded(**HEAD, price=5, low=4, high=6, volume=-1)
    with pytest.raises(DataError, match="field='volume' value=-1"):
        admit(bar, N)


def test_what_is_not_about_the_market_passes() -> None:
    admit(session(0, "open"), 0)

"""What the close will bring, held against the stage that settles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events as e
from domain.frames import GreeksFrame, PositionFrame
from hedging.settling import Settling
from risk.positions import Positions

if TYPE_CHECKING:
    from domain.chain import Chain

CLOSE = 1_450_980_000_000_000_000
HEAD: dict[str, Any] = {"ts_event": CLOSE, "ts_init": 7, "underlying": "XYZ"}


@pytest.fixture(scope="module")
def chain() -> Chain:
    from tests.hedging.conftest import CHAIN

    return CHAIN


def computed(spot: float, delta: list[float], status: list[int]) -> e.GreeksComputed:
    columns: dict[str, npt.NDArray[Any]] = {name: np.zeros(len(delta)) for name in GreeksFrame.dtypes}
    columns |= {"contract": np.arange(len(delta)), "delta": np.array(delta), "status": np.array(status)}
    return e.GreeksComputed(**HEAD, spot=spot, is_refresh=True, frame=GreeksFrame(**columns))


@given(
    held=st.lists(st.integers(-30, 30), min_size=12, max_size=12),
    delta=st.lists(st.floats(-1, 1), min_size=12, max_size=12),
    status=st.lists(st.sampled_from([0, 0, 4]), min_size=12, max_size=12),
    cents=st.integers(9_000, 11_000),
)
def test_it_changes_net_delta_as_the_settlement_will(
    chain: Chain, held: list[int], delta: list[float], status: list[int], cents: int
) -> None:
    settling, positions = Settling(chain), Positions(chain, "XYZ")
    frame = PositionFrame(contract=np.arange(12), quantity=np.array(held))
    events: list[e.Event] = [
        e.UnderlyingTraded(**HEAD, price=cents * 100, low=cents * 100, high=cents * 100, volume=1),
        e.PositionsImported(**HEAD, frame=frame, stock=17, stock_price=0.0, cash=0.0),
        computed(cents / 100, delta, status),
    ]
    told = [answer for event in events for answer in positions.apply(event)]
    for answer in told:
        if isinstance(answer, e.PositionChanged):
            settling.hold(answer)
    settling.value(computed(cents / 100, delta, status))
    before = [answer for answer in told if isinstance(answer, e.ExposureChanged)][-1]

    closed = positions.apply(e.SessionChanged(**HEAD, state="closed", open_ts=CLOSE - 1, close_ts=CLOSE))
    after = [answer for answer in closed if isinstance(answer, e.ExposureChanged)][-1]
    assert before.delta + settling.change(cents / 100) == pytest.approx(after.delta, abs=1e-6)


def test_contracts_of_later_expiries_keep_their_delta(chain: Chain) -> None:
    settling = Settling(chain)
    later = len(chain) - 1
    settling.hold(e.PositionChanged(**HEAD, contract=later, quantity=9, change=9, cause="fill"))
    settling.hold(e.PositionChanged(**HEAD, contract=-1, quantity=9, change=9, cause="fill"))
    settling.value(computed(100.0, [0.5] * len(chain), [0] * len(chain)))
    assert settling.change(100.0) == 0.0


def test_a_snapshot_goes_on_as_the_original(chain: Chain) -> None:
    original, copy = Settling(chain), Settling(chain)
    original.hold(e.PositionChanged(**HEAD, contract=0, quantity=-3, change=-3, cause="fill"))
    original.value(computed(100.0, [0.3] * len(chain), [0] * len(chain)))
    copy.take_over(original.state())
    assert copy.change(100.0) == original.change(100.0) != 0.0

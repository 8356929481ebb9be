# Types of the native module behind risk.screen, risk.bounds and risk.resting, its only callers.

from typing import Any, TypeAlias

from numpy import bool_, float64, int64, intp
from numpy.typing import NDArray

_Ints: TypeAlias = NDArray[int64]
_Floats: TypeAlias = NDArray[float64]
_Rows: TypeAlias = NDArray[intp]
_Column: TypeAlias = NDArray[Any]

def collar(
    theo: _Floats,
    is_open: NDArray[bool_],
    nbbo_bid: _Ints,
    nbbo_ask: _Ints,
    *,
    dollars: float,
    fraction: float,
    scale: float,
    cap: _Ints,
    floor: _Ints,
) -> None: ...
def entries(
    venue: _Column,
    contract: _Column,
    bid: _Column,
    bid_size: _Column,
    ask: _Column,
    ask_size: _Column,
    *,
    cap: _Ints,
    floor: _Ints,
    below: _Ints,
    above: _Ints,
    resting_bid: _Ints,
    resting_ask: _Ints,
    most: int,
    rows: _Rows,
    bid_reach: _Ints,
    ask_reach: _Ints,
) -> int: ...
def self_crossed(
    rows: _Rows,
    contract: _Column,
    bid: _Column,
    ask: _Column,
    ask_size: _Column,
    *,
    high_bid: _Ints,
    low_ask: _Ints,
    contracts: int,
) -> bool: ...
def totals(greeks: _Floats, premium: _Floats, position: _Ints, bid: _Ints, ask: _Ints, *, out: _Floats) -> None: ...
def take_up(
    rows: _Rows,
    bid: _Column,
    bid_size: _Column,
    ask: _Column,
    ask_size: _Column,
    *,
    number: int,
    may_buy: _Ints,
    may_sell: _Ints,
    high_bid: _Ints,
    low_ask: _Ints,
    sent_bid: _Ints,
    sent_ask: _Ints,
    sent_by: _Ints,
) -> None: ...

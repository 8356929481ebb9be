# Types of the native module behind quoting.ladder, its only caller.

from typing import Any, TypeAlias

from numpy import bool_, float64, int16, int64
from numpy.typing import NDArray

_Ints: TypeAlias = NDArray[int64]
_Floats: TypeAlias = NDArray[float64]
_Column: TypeAlias = NDArray[Any]

def round_out(
    bid: _Floats, ask: _Floats, below: _Ints, above: _Ints, *, threshold: int, snap: float, out: _Ints
) -> None: ...
def hold(
    target_price: _Ints,
    target_size: _Ints,
    shown_price: _Ints,
    shown_size: _Ints,
    limit: _Ints,
    tick: _Ints,
    *,
    requote_ticks: float,
    replenish_share: float,
    price: _Ints,
    size: _Ints,
) -> None: ...
def may_meet(target_price: _Ints, target_size: _Ints, shown_price: _Ints, shown_size: _Ints) -> bool: ...
def diff(
    target_price: _Ints, target_size: _Ints, shown_price: _Ints, shown_size: _Ints, *, out: NDArray[bool_]
) -> None: ...
def put(price: _Ints, mask: NDArray[bool_], *, out: _Ints) -> None: ...
def rows(
    price: _Ints,
    size: _Ints,
    mask: NDArray[bool_],
    venues: NDArray[int16],
    *,
    venue: _Column,
    contract: _Column,
    bid: _Column,
    bid_size: _Column,
    ask: _Column,
    ask_size: _Column,
) -> None: ...

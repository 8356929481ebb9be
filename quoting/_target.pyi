# Types of the native module behind quoting.target, its only caller.

from typing import TypeAlias

from numpy import bool_, float64, int64
from numpy.typing import NDArray

_Ints: TypeAlias = NDArray[int64]
_Floats: TypeAlias = NDArray[float64]
_Mask: TypeAlias = NDArray[bool_]

def quotes(
    *,
    theo: _Floats,
    error: _Floats,
    edge: _Floats,
    deviation: _Floats,
    inventory: _Floats,
    is_good: _Mask,
    base: _Floats,
    slope: _Floats,
    bid: _Floats,
    ask: _Floats,
    join_bid: _Floats,
    join_ask: _Floats,
    ceiling: _Floats,
    floor: _Floats,
    is_shown: _Mask,
    tick_above: _Ints,
    uncertainty: float,
    widest: float,
    most_inventory: float,
    full_size: float,
    min_size: float,
    snap: float,
    price: _Floats,
    size: _Ints,
    limit: _Ints,
) -> None: ...

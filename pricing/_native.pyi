# Types of the native module; pricing.backend is its only door for everything but the kernels themselves.

from typing import TypeAlias

from numpy import float64, int8
from numpy.typing import NDArray

_Array: TypeAlias = NDArray[float64]
_Status: TypeAlias = NDArray[int8]

def supported_isas() -> list[str]: ...
def isa() -> str: ...
def lanes() -> int: ...
def force_isa(name: str) -> None: ...
def black_forward(
    forward: _Array, strike: _Array, total_vol: _Array, discount: _Array, sign: _Array, *, out: _Array
) -> None: ...
def black_spot(
    spot: _Array,
    strike: _Array,
    expiry_years: _Array,
    rate: _Array,
    carry_yield: _Array,
    vol: _Array,
    sign: _Array,
    *,
    out: _Array,
) -> None: ...
def black_greeks(
    spot: _Array,
    strike: _Array,
    expiry_years: _Array,
    rate: _Array,
    carry_yield: _Array,
    vol: _Array,
    sign: _Array,
    *,
    out: _Array,
) -> None: ...
def implied_vol(
    price: _Array,
    forward: _Array,
    strike: _Array,
    expiry_years: _Array,
    discount: _Array,
    sign: _Array,
    *,
    out: _Array,
    status: _Status,
) -> None: ...
def american_price(
    spot: _Array,
    strike: _Array,
    expiry_years: _Array,
    rate: _Array,
    carry_yield: _Array,
    vol: _Array,
    sign: _Array,
    *,
    accurate: bool,
    out: _Array,
    status: _Status,
) -> None: ...
def american_greeks(
    spot: _Array,
    strike: _Array,
    expiry_years: _Array,
    rate: _Array,
    carry_yield: _Array,
    vol: _Array,
    sign: _Array,
    *,
    accurate: bool,
    out: _Array,
    status: _Status,
) -> None: ...
def american_premium(
    spot: _Array,
    strike: _Array,
    expiry_years: _Array,
    rate: _Array,
    carry_yield: _Array,
    vol: _Array,
    sign: _Array,
    *,
    accurate: bool,
    out: _Array,
    status: _Status,
) -> None: ...

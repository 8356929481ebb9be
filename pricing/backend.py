"""Which processor prices, and what its kernels accept.

One set of C++ headers is compiled once per instruction set (x86-64-v2, v3 and v4 on x86; a plain build elsewhere). The
best one that this processor runs is chosen when the module is imported; `force_isa` chooses another, for tests and for
machines whose widest vectors slow the clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from domain.errors import InputError
from pricing import _native

Array = NDArray[np.float64]
StatusArray = NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """What prices here."""

    device: str
    """`cpu`; the only one so far."""
    isa: str
    """The instruction set in use, e.g. `x86_64_v4`."""
    lanes: int
    """Contracts computed side by side by one instruction."""
    supported_isas: tuple[str, ...]
    """What `force_isa` accepts here, best first."""


def describe() -> Backend:
    """What prices here, for `axiom doctor`."""
    return Backend(device="cpu", isa=_native.isa(), lanes=_native.lanes(), supported_isas=supported_isas())


def supported_isas() -> tuple[str, ...]:
    """Instruction sets that this processor runs and this build holds, best first."""
    return tuple(_native.supported_isas())


def force_isa(name: str) -> None:
    """Price with one instruction set from now on, in the whole process.

    The builds agree within rounding, not bit for bit: v2 has no fused multiply-add. A run that must replay records the
    Greeks it used.

    Raises:
        InputError: The processor or the build lacks `name`.
    """
    if name not in supported_isas():
        raise InputError("instruction set not supported here", field="isa", value=name, supported=supported_isas())
    _native.force_isa(name)


def columns(**inputs: ArrayLike) -> tuple[int, list[Array]]:
    """Check the inputs of one kernel call: float64, contiguous, one value or one per contract.

    Args:
        **inputs: Columns by name, shape (n,), (1,) or (); a single value stands for every contract and is not copied n
            times.

    Returns:
        n, and the columns in order. n is 1 when every input is a single value.

    Raises:
        InputError: An input is not numeric, has more than one dimension, or two lengths differ.
    """
    n, longest = 1, ""
    arrays: list[Array] = []
    for name, value in inputs.items():
        try:
            array = np.ascontiguousarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError("not a number or an array of numbers", field=name, value=value) from error
        if array.ndim != 1:
            raise InputError("more than one dimension", field=name, value=array.shape)
        if array.size not in (1, n):
            if longest:
                raise InputError(f"length differs from that of {longest}", field=name, value=array.size, expected=n)
            n, longest = array.size, name
        arrays.append(array)
    return n, arrays


def output(out: Array | None, shape: tuple[int, ...], field: str = "out") -> Array:
    """The caller's buffer when it fits, else a new one.

    Raises:
        InputError: `out` is not a writable float64 array of `shape` whose last axis is contiguous.
    """
    if out is None:
        return np.empty(shape)
    if getattr(out, "dtype", None) != np.float64:
        raise InputError("not a float64 array", field=field, value=getattr(out, "dtype", type(out).__name__))
    if out.shape != shape:
        raise InputError("wrong shape", field=field, value=out.shape, expected=shape)
    if not out.flags.writeable:
        raise InputError("read-only", field=field, value=shape)
    if shape[-1] > 1 and out.strides[-1] != out.itemsize:
        raise InputError("last axis not contiguous", field=field, value=out.strides)
    return out


def status_output(out: StatusArray | None, n: int, field: str) -> StatusArray:
    """The caller's status buffer when it fits, else a new one.

    Raises:
        InputError: `out` is not a writable contiguous int8 array of shape (n,).
    """
    if out is None:
        return np.empty(n, dtype=np.int8)
    if getattr(out, "dtype", None) != np.int8:
        raise InputError("not an int8 array", field=field, value=getattr(out, "dtype", type(out).__name__))
    if out.shape != (n,):
        raise InputError("wrong shape", field=field, value=out.shape, expected=(n,))
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise InputError("not writable and contiguous", field=field, value=out.strides)
    return out

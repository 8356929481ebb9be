"""Columnar batches: equal-length numpy columns that travel as one Arrow record batch.

A frame is a frozen dataclass whose fields are the columns. Prices are integer units of 1/10,000 dollar (see
`domain.price`), and 0 with size 0 means that the side is absent. `contract` is the dense index of `domain.chain`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from domain.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

Column = np.ndarray[Any, Any]

I1, I2, I4, I8, F8 = (np.dtype(code) for code in ("i1", "i2", "i4", "i8", "f8"))


def column(dtype: np.dtype[Any]) -> Any:  # noqa: ANN401  # dataclasses type `field` so
    """Declare a column of a frame with its type on the wire."""
    return field(metadata={"dtype": dtype})


@dataclass(frozen=True, eq=False)
class Frame:
    """What all frames share. Columns are contiguous, read-only and of the declared type."""

    dtypes: ClassVar[dict[str, np.dtype[Any]]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Collect the declared columns before the dataclass decorator runs."""
        super().__init_subclass__(**kwargs)
        cls.dtypes = {
            name: cls.__dict__[name].metadata["dtype"]
            for name in cls.__annotations__
            if name in cls.__dict__ and hasattr(cls.__dict__[name], "metadata")
        }

    def __post_init__(self) -> None:
        """Check lengths and fix types.

        Raises:
            InputError: A column is not one-dimensional, its length differs from the first one's, it holds no numbers,
                or its type on the wire cannot hold them exactly (a fraction or NaN for an integer, or out of range).
        """
        length = -1
        for name, dtype in self.dtypes.items():
            given = getattr(self, name)
            is_right = type(given) is np.ndarray and given.dtype == dtype
            values = np.ascontiguousarray(given if is_right else _exactly(name, given, dtype))
            if values.ndim != 1:
                raise InputError("column must be one-dimensional", field=name, value=values.ndim)
            if length < 0:
                length = len(values)
            elif len(values) != length:
                raise InputError("column length differs", field=name, value=len(values), expected=length)
            values = values.view()
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        """Number of rows."""
        return len(getattr(self, next(iter(self.dtypes))))

    def __eq__(self, other: object) -> bool:
        """Columns are equal, NaN equal to NaN."""
        if type(other) is not type(self):
            return NotImplemented
        return all(
            np.array_equal(mine, getattr(other, name), equal_nan=mine.dtype.kind == "f")
            for name, mine in self.columns().items()
        )

    __hash__ = None  # type: ignore[assignment]  # frames are values of arrays: not for sets or keys

    def columns(self) -> dict[str, Column]:
        """Name to column, in declared order."""
        return {name: getattr(self, name) for name in self.dtypes}

    def take(self, rows: Column | slice) -> Self:
        """The rows of a boolean mask, an index array or a slice; a slice shares memory with this frame."""
        taken = object.__new__(type(self))  # types and lengths are right already: no need to check them again
        for name in self.dtypes:
            values = getattr(self, name)[rows]
            values.flags.writeable = False
            object.__setattr__(taken, name, values)
        return taken

    @classmethod
    def empty(cls) -> Self:
        """A frame of no rows."""
        return cls(**{name: np.empty(0, dtype) for name, dtype in cls.dtypes.items()})

    @classmethod
    def from_columns(cls, columns: Mapping[str, Column]) -> Self:
        """A frame from named columns; other names are ignored.

        Raises:
            InputError: A declared column is missing.
        """
        missing = [name for name in cls.dtypes if name not in columns]
        if missing:
            raise InputError("column is missing", field=missing[0], value=None, frame=cls.__name__)
        return cls(**{name: columns[name] for name in cls.dtypes})


def _exactly(name: str, given: object, dtype: np.dtype[Any]) -> Column:
    """A column in its type on the wire. Integers may come as floats; what is no whole number in range is refused."""
    values = np.asarray(given)
    if values.dtype.kind not in "biuf":
        raise InputError("column must be numeric", field=name, value=str(values.dtype))
    if dtype.kind == "f" or np.can_cast(values.dtype, dtype, "safe"):
        return values.astype(dtype)
    info = np.iinfo(dtype)
    # The bound above is exclusive and a power of two: a float64 holds it exactly, the largest integer it does not.
    fits = (values >= info.min) & (values < float(info.max) + 1) if values.dtype.kind == "f" else values <= info.max
    with np.errstate(invalid="ignore"):
        cast = values.astype(dtype)
    lost = ~(fits & (cast == values))
    if lost.any():
        row = int(np.argmax(lost))
        value = values.reshape(-1)[row].item()
        raise InputError("column holds whole numbers in range", field=name, value=value, row=row, type=str(dtype))
    return cast


@dataclass(frozen=True, eq=False)
class NbboFrame(Frame):
    """Best bid and offer of contracts that changed. Size in contracts."""

    contract: Column = column(I4)
    bid: Column = column(I8)
    bid_size: Column = column(I4)
    ask: Column = column(I8)
    ask_size: Column = column(I4)


@dataclass(frozen=True, eq=False)
class TradeFrame(Frame):
    """Prints of contracts. A single print has low = high = price; a bar has its range and total volume."""

    contract: Column = column(I4)
    price: Column = column(I8)
    low: Column = column(I8)
    high: Column = column(I8)
    volume: Column = column(I8)


@dataclass(frozen=True, eq=False)
class OpenInterestFrame(Frame):
    """Open interest in contracts, as of the previous close."""

    contract: Column = column(I4)
    open_interest: Column = column(I8)


@dataclass(frozen=True, eq=False)
class ForwardFrame(Frame):
    """Forward and discount of each expiry index. Rates are continuous per year, forwards dollars per share."""

    expiry: Column = column(I4)
    years: Column = column(F8)
    forward: Column = column(F8)
    forward_error: Column = column(F8)
    discount: Column = column(F8)
    rate: Column = column(F8)
    carry_yield: Column = column(F8)
    pairs: Column = column(I4)


@dataclass(frozen=True, eq=False)
class SurfaceFrame(Frame):
    """A raw SVI slice for each expiry index: w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)).

    `rmse` and `error` are in volatility (0.01 = one point): fit residual, and one standard error of a fitted vol.
    `min_g` is the smallest Durrleman g on the checked grid (>= 0: no negative density). `quotes` counts fitted quotes.
    """

    expiry: Column = column(I4)
    years: Column = column(F8)
    forward: Column = column(F8)
    a: Column = column(F8)
    b: Column = column(F8)
    rho: Column = column(F8)
    m: Column = column(F8)
    sigma: Column = column(F8)
    rmse: Column = column(F8)
    error: Column = column(F8)
    min_g: Column = column(F8)
    quotes: Column = column(I4)
    status: Column = column(I1)


@dataclass(frozen=True, eq=False)
class GreeksFrame(Frame):
    """Theo, volatility and the 13 Greeks of every live contract, per share.

    Vega and rho per 1.00, theta per year, time derivatives in calendar time. `theo_error` is one standard error of the
    theo in dollars. `status` 0 is good; where it is not, the values are NaN.
    """

    contract: Column = column(I4)
    theo: Column = column(F8)
    theo_error: Column = column(F8)
    vol: Column = column(F8)
    delta: Column = column(F8)
    gamma: Column = column(F8)
    vega: Column = column(F8)
    theta: Column = column(F8)
    rho: Column = column(F8)
    vanna: Column = column(F8)
    charm: Column = column(F8)
    volga: Column = column(F8)
    veta: Column = column(F8)
    speed: Column = column(F8)
    zomma: Column = column(F8)
    color: Column = column(F8)
    ultima: Column = column(F8)
    status: Column = column(I1)


@dataclass(frozen=True, eq=False)
class QuoteFrame(Frame):
    """Two-sided quotes to place. A row replaces both sides of ours at that venue; size 0 pulls the side."""

    venue: Column = column(I2)
    contract: Column = column(I4)
    bid: Column = column(I8)
    bid_size: Column = column(I4)
    ask: Column = column(I8)
    ask_size: Column = column(I4)


@dataclass(frozen=True, eq=False)
class QuoteRefusalFrame(Frame):
    """Quote entries that were refused, with the code of `domain.events.QuoteRefusal`."""

    venue: Column = column(I2)
    contract: Column = column(I4)
    reason: Column = column(I1)


@dataclass(frozen=True, eq=False)
class PositionFrame(Frame):
    """Option positions, signed contracts."""

    contract: Column = column(I4)
    quantity: Column = column(I8)

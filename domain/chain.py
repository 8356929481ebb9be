"""The option chain of one underlying on one trade date, as columns.

Everything downstream works on arrays of the chain's length: a contract is its position, 0 to n - 1.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from domain.calendar import settlement_ns
from domain.errors import InputError, UnknownContract
from domain.instrument import STRIKE_SCALE, OptionContract, format_osi, parse_osi

Scalar = TypeVar("Scalar", bound=np.generic)

NO_PARTNER: Final = -1


def _column(values: npt.ArrayLike, dtype: type[Scalar]) -> npt.NDArray[Scalar]:
    column = np.array(values, dtype=dtype)
    column.flags.writeable = False
    return column


class Chain:
    """All contracts of one underlying, in a fixed order, with a dense index.

    Sorted by root, expiry, strike, calls before puts, so that the contracts of an expiry are neighbours. An expiry is
    keyed by root and date, never by date alone: SPX and SPXW list the same date and settle hours apart. Immutable: all
    columns are read-only. n is the number of contracts, m of expiries.

    Attributes:
        underlying: Symbol of the underlying.
        trade_date: Trade date for which the chain was listed.
        contracts: The contracts, length n.
        strike: Dollars per share, float64, shape (n,).
        strike_thousandths: The same, exact, int64, shape (n,).
        sign: +1.0 for a call, -1.0 for a put, float64, shape (n,).
        multiplier: Dollars per point, float64, shape (n,).
        is_american: Exercise style, bool, shape (n,).
        is_adjusted: Whether a corporate action changed the contract, bool, shape (n,).
        partner: Position of the other right at the same root, expiry and strike, or -1, int32, shape (n,).
        expiries: (root, expiration date), ascending, length m.
        expiry_index: Position in `expiries`, int32, shape (n,).
        expiry_ns: Instant that settles the expiry, ns since the epoch, int64, shape (m,). AM the open, PM the close.
        expiry_start: Contracts of expiry j are `expiry_start[j]` up to `expiry_start[j + 1]`, int32, shape (m + 1,).
    """

    __slots__ = (
        "_position",
        "contracts",
        "expiries",
        "expiry_index",
        "expiry_ns",
        "expiry_start",
        "is_adjusted",
        "is_american",
        "multiplier",
        "partner",
        "sign",
        "strike",
        "strike_thousandths",
        "trade_date",
        "underlying",
    )

    def __init__(self, underlying: str, trade_date: dt.date, contracts: Iterable[OptionContract]) -> None:
        """Sort the contracts and build the columns.

        Raises:
            InputError: No contracts, one of another underlying, one listed twice, or contracts of one root and expiry
                that settle differently.
        """
        ordered = tuple(sorted(contracts, key=lambda c: c.sort_key))
        if not ordered:
            raise InputError("a chain needs a contract", field="contracts", value=0, underlying=underlying)

        self.underlying = underlying
        self.trade_date = trade_date
        self.contracts = ordered
        self._position = {format_osi(contract): position for position, contract in enumerate(ordered)}

        expiries: list[tuple[str, dt.date]] = []
        settlements: list[str] = []
        starts: list[int] = []
        index: list[int] = []
        instants: list[int] = []
        partner = [NO_PARTNER] * len(ordered)
        before: OptionContract | None = None
        for position, contract in enumerate(ordered):
            if contract.underlying != underlying:
                raise InputError(
                    "contract of another underlying",
                    field="underlying",
                    value=contract.underlying,
                    expected=underlying,
                    osi=contract.osi,
                )
            if before is None or contract.root != before.root or contract.expiry != before.expiry:
                expiries.append((contract.root, contract.expiry))
                settlements.append(contract.settlement)
                starts.append(position)
                instants.append(settlement_ns(contract.expiry, contract.settlement))
            elif contract.strike == before.strike:
                if contract.right == before.right:
                    raise InputError("contract listed twice", field="contracts", value=contract.osi)
                partner[position - 1], partner[position] = position, position - 1
            if contract.settlement != settlements[-1]:
                raise InputError(
                    "one expiry settles both AM and PM", field="settlement", value=contract.settlement, osi=contract.osi
                )
            index.append(len(expiries) - 1)
            before = contract

        self.expiries = tuple(expiries)
        self.expiry_index = _column(index, np.int32)
        self.expiry_ns = _column(instants, np.int64)
        self.expiry_start = _column([*starts, len(ordered)], np.int32)
        self.partner = _column(partner, np.int32)
        self.strike_thousandths = _column([c.strike for c in ordered], np.int64)
        self.strike = _column(self.strike_thousandths / STRIKE_SCALE, np.float64)
        self.sign = _column([1.0 if c.right == "C" else -1.0 for c in ordered], np.float64)
        self.multiplier = _column([c.multiplier for c in ordered], np.float64)
        self.is_american = _column([c.style == "american" for c in ordered], np.bool_)
        adjusted = {root: next(c for c in ordered if c.root == root).is_adjusted for root, _ in expiries}
        self.is_adjusted = _column([adjusted[c.root] for c in ordered], np.bool_)

    def __len__(self) -> int:
        """Return n, the number of contracts."""
        return len(self.contracts)

    def __repr__(self) -> str:
        """Say what it is, not all of it."""
        return f"Chain({self.underlying!r}, {self.trade_date}, {len(self)} contracts, {len(self.expiries)} expiries)"

    def index_of(self, contract: OptionContract | str) -> int:
        """Return the position of a contract, given itself or any form of its OSI symbol.

        Raises:
            UnknownContract: The chain does not list it.
            InputError: The text is no OSI symbol.
        """
        if isinstance(contract, str):
            position = self._position.get(contract)
            if position is None:
                position = self._position.get(format_osi(parse_osi(contract)))
            if position is None:
                raise UnknownContract(osi=contract, underlying=self.underlying)
            return position
        position = self._position.get(format_osi(contract))
        if position is None:
            raise UnknownContract(osi=contract.osi, underlying=self.underlying)
        return position

    def expiry_slice(self, expiry: int) -> slice:
        """Return where the contracts of the expiry at that position of `expiries` stand."""
        return slice(int(self.expiry_start[expiry]), int(self.expiry_start[expiry + 1]))

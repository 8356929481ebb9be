"""What was bought and sold, exactly: contracts, shares and cash as integers.

Booking is additive and each message counts once, so the result does not depend on order or repetition: a bust that
arrives before its fill leaves the book short until the fill comes, and flat after it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from domain.chain import Chain
from domain.commands import STOCK, Side
from domain.errors import InputError
from domain.events import FillBusted, FillCorrected, OrderFilled, PositionSettled, PositionsImported
from domain.price import PRICE_SCALE

Fill = OrderFilled | FillBusted | FillCorrected


class Change(NamedTuple):
    """What one message did: signed contracts or shares, at a price in units, and the fee in units.

    A correction is two changes: the old execution out, the new one in.
    """

    contract: int
    quantity: int
    price: int
    fee: int


class Ledger:
    """Positions and cash of one underlying. n is the number of contracts.

    Attributes:
        quantity: Signed contracts of each option, int64, shape (n,).
        stock: Signed shares.
        cash: 1/10,000 dollar.
        is_imported: Whether start-of-day positions were taken over.
        traded: Sum of executions alone, without imports and settlement, int64, shape (n + 1,); the last is the stock.
            It must equal the sum over the venues' own books.
        traded_cash: What those executions paid us, fees taken off, 1/10,000 dollar. It must equal theirs too.
    """

    def __init__(self, chain: Chain) -> None:
        """Nothing is held."""
        self.quantity: npt.NDArray[np.int64] = np.zeros(len(chain), np.int64)
        self.stock = 0
        self.cash = 0
        self.is_imported = False
        self.traded: npt.NDArray[np.int64] = np.zeros(len(chain) + 1, np.int64)
        self.traded_cash = 0
        self._multiplier = [contract.multiplier for contract in chain.contracts]
        self._booked: dict[str, None] = {}

    def held(self, contract: int) -> int:
        """Return the signed quantity of an option, or of STOCK."""
        return self.stock if contract == STOCK else int(self.quantity[contract])

    def scale(self, contract: int) -> int:
        """Return the multiplier of an option, 1 for STOCK."""
        return 1 if contract == STOCK else self._multiplier[contract]

    def changes(self, event: Fill) -> tuple[Change, ...]:
        """Return what a message would do; nothing where it was booked before.

        Raises:
            InputError: The contract is not of this chain.
        """
        if not STOCK <= event.contract < len(self.quantity):
            raise InputError("fill of an unknown contract", field="contract", value=event.contract, fill=event.fill_id)
        if _key(event) in self._booked:
            return ()
        match event:
            case OrderFilled():
                return (Change(event.contract, _signed(event.side, event.quantity), event.price, event.fee),)
            case FillBusted():
                return (Change(event.contract, -_signed(event.side, event.quantity), event.price, -event.fee),)
            case FillCorrected():
                return (
                    Change(event.contract, -_signed(event.side, event.old_quantity), event.old_price, 0),
                    Change(event.contract, _signed(event.side, event.quantity), event.price, 0),
                )

    def book(self, event: Fill) -> tuple[Change, ...]:
        """Book a message once; return what it did.

        Raises:
            InputError: The contract is not of this chain.
        """
        changes = self.changes(event)
        self._booked[_key(event)] = None
        for change in changes:
            self.move(change.contract, change.quantity)
            self.traded[change.contract] += change.quantity
            paid = change.price * change.quantity * self.scale(change.contract) + change.fee
            self.traded_cash -= paid
            self.cash -= paid
        return changes

    def move(self, contract: int, quantity: int) -> None:
        """Add signed contracts or shares."""
        if contract == STOCK:
            self.stock += quantity
        else:
            self.quantity[contract] += quantity

    def take_over(self, event: PositionsImported) -> None:
        """Start the day with what was imported, on top of fills that came before it.

        Raises:
            InputError: A contract is not of this chain, or is named twice; or prices do not stand one to a row.
        """
        contract = event.frame.contract
        if event.option_prices and len(event.option_prices) != len(contract):
            raise InputError("one price for each imported row", field="option_prices", value=len(event.option_prices))
        if len(contract) and not (contract.min() >= 0 and contract.max() < len(self.quantity)):
            raise InputError("imported position of an unknown contract", field="contract", value=int(contract.max()))
        if len(np.unique(contract)) != len(contract):
            raise InputError("contract imported twice", field="contract", value=len(contract))
        self.quantity[contract] += event.frame.quantity
        self.stock += event.stock
        self.cash += round(event.cash * PRICE_SCALE)
        self.is_imported = True

    def settle(self, event: PositionSettled) -> None:
        """An expired position left; shares and cash came in."""
        self.quantity[event.contract] -= event.quantity
        self.stock += event.shares
        self.cash += round(event.cash * PRICE_SCALE)

    def state(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {
            "quantity": self.quantity,
            "stock": self.stock,
            "cash": self.cash,
            "is_imported": self.is_imported,
            "traded": self.traded,
            "traded_cash": self.traded_cash,
            "booked": list(self._booked),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave."""
        self.quantity, self.stock, self.cash = state["quantity"], state["stock"], state["cash"]
        self.is_imported, self.traded = state["is_imported"], state["traded"]
        self.traded_cash = state["traded_cash"]
        self._booked = dict.fromkeys(state["booked"])


def _signed(side: Side, quantity: int) -> int:
    return quantity if side == "buy" else -quantity


def _key(event: Fill) -> str:
    """Return what makes a message the same one: a fill and a bust its execution, a correction also its terms."""
    match event:
        case OrderFilled():
            return f"F/{event.fill_id}"
        case FillBusted():
            return f"B/{event.fill_id}"
        case FillCorrected():
            terms = f"{event.old_quantity}@{event.old_price}>{event.quantity}@{event.price}"
            return f"C/{event.fill_id}/{terms}"

"""The last national best bid and offer of every contract and of the underlying, as arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from domain.commands import STOCK
from domain.errors import InputError, UnknownContract
from domain.events import NbboUpdated, UnderlyingUpdated

BID: Final = 0
ASK: Final = 1

Ints = npt.NDArray[np.int64]


def check_contracts(contract: npt.NDArray[Any], n: int) -> None:
    """Refuse a frame that names a contract outside the chain.

    Raises:
        UnknownContract: An index is negative or not below `n`.
    """
    if contract.size and (int(contract.min()) < 0 or int(contract.max()) >= n):
        bad = contract[(contract < 0) | (contract >= n)]
        raise UnknownContract(field="contract", value=int(bad[0]), contracts=n)


class TopOfBook:
    """Best bid and offer per contract, with the time of the last update.

    The arrays have one row more than the chain: the last one is the underlying, so that `STOCK` (-1) addresses it.

    Attributes:
        price: Bid and ask in price units, 0 where the side is absent. Shape (2, n + 1).
        size: Contracts, or shares for the underlying. Shape (2, n + 1).
        ts: Time of the last update, ns; 0 before the first. Shape (n + 1,).
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.price: Ints = np.zeros((2, n + 1), np.int64)
        self.size: Ints = np.zeros((2, n + 1), np.int64)
        self.ts: Ints = np.zeros(n + 1, np.int64)

    def apply(self, event: NbboUpdated | UnderlyingUpdated) -> None:
        """Take over an update. A side with no price or no size is absent.

        Raises:
            UnknownContract: The frame names a contract outside the chain; nothing changed.
            InputError: A price or size is negative; nothing changed.
        """
        if isinstance(event, UnderlyingUpdated):
            if min(event.bid, event.ask, event.bid_size, event.ask_size) < 0:
                raise InputError("quote must not be negative", field="underlying", value=(event.bid, event.ask))
            has_bid, has_ask = event.bid > 0 and event.bid_size > 0, event.ask > 0 and event.ask_size > 0
            self.price[:, STOCK] = event.bid * has_bid, event.ask * has_ask
            self.size[:, STOCK] = event.bid_size * has_bid, event.ask_size * has_ask
            self.ts[STOCK] = event.ts_event
            return
        frame = event.frame
        check_contracts(frame.contract, self.n)
        for side, price, size in ((BID, frame.bid, frame.bid_size), (ASK, frame.ask, frame.ask_size)):
            if price.size and (int(price.min()) < 0 or int(size.min()) < 0):
                raise InputError(
                    "quote must not be negative", field="bid" if side == BID else "ask", value=int(price.min())
                )
        for side, price, size in ((BID, frame.bid, frame.bid_size), (ASK, frame.ask, frame.ask_size)):
            present = (price > 0) & (size > 0)
            self.price[side, frame.contract] = price * present
            self.size[side, frame.contract] = size * present
        self.ts[frame.contract] = event.ts_event

    def state(self) -> dict[str, Ints]:
        """Return the arrays, for a snapshot."""
        return {"price": self.price, "size": self.size, "ts": self.ts}

    def take_over(self, state: dict[str, Ints]) -> None:
        """Take over what `state` gave."""
        self.price, self.size, self.ts = state["price"], state["size"], state["ts"]

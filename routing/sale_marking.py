"""Marking of stock sales: long, short or short exempt, with a locate or the exemption from it.

Sources: Regulation SHO, 17 CFR 242.200(g) (marking), 242.203(b)(1) and (b)(2)(iii) (locate, and its exception for bona
fide market making), 242.201 (price test after a decline of 10 %).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from domain.commands import SaleMarking
from domain.errors import InputError

TRIGGER_PERCENT: Final = 10
"""Decline from the prior close that starts the price test, percent. Source: 17 CFR 242.201(b)(1)(i)."""


class SaleRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the firm may do when it sells stock.

    Attributes:
        is_market_maker_exempt: Sells in bona fide market making, so that no locate is needed.
        locate_id: The locate that covers short sales otherwise; empty for none.
        is_restricted: The price test holds from the start of the day: it was triggered the day before.
        prior_close: Primary close of the day before in price units, 0 where unknown: then nothing triggers the test.
        short_exempt_basis: The paragraph of 242.201(c) or (d) that lets us mark short exempt; empty for none.

    Raises:
        InputError: The prior close is negative.
    """

    is_market_maker_exempt: bool = True
    locate_id: str = ""
    is_restricted: bool = False
    prior_close: int = 0
    short_exempt_basis: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no price."""
        if self.prior_close < 0:
            raise InputError("must not be negative", field="sale.prior_close", value=self.prior_close)

    def triggers(self, low: int) -> bool:
        """Whether a print at that price starts the price test."""
        return 0 < low * 100 <= self.prior_close * (100 - TRIGGER_PERCENT)

    @property
    def can_sell_short(self) -> bool:
        """Whether a short sale is covered by a locate or the exemption."""
        return self.is_market_maker_exempt or bool(self.locate_id)


class MarkedPart(NamedTuple):
    """A part of a sale under one marking."""

    marking: SaleMarking
    quantity: int


def mark(quantity: int, long_available: int, rules: SaleRules, *, is_restricted: bool) -> tuple[MarkedPart, ...]:
    """Split a sale into what we own and what we do not.

    Args:
        quantity: Shares to sell, positive.
        long_available: Shares that we own and have not offered yet; 0 or less for none.
        rules: Of the firm.
        is_restricted: Whether the price test holds now.

    Returns:
        The long part, then the short one; their quantities are positive and sum to `quantity`.
    """
    owned = min(quantity, max(long_available, 0))
    exempt = is_restricted and bool(rules.short_exempt_basis)
    parts = (MarkedPart("long", owned), MarkedPart("short_exempt" if exempt else "short", quantity - owned))
    return tuple(part for part in parts if part.quantity)

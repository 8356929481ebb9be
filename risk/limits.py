"""The limits of the risk gate for one underlying. They change only by command, all named ones or none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from domain.errors import InputError
from domain.instrument import parse_osi

RESTRICT_PREFIX: Final = "restricted:"
"""In `ChangeLimits`, `restricted:<symbol>` with 1 puts an OSI symbol or the underlying on the list, 0 takes it off."""

_FLAGS: Final = frozenset({"short_sale_restricted", "allow_market_orders"})


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one underlying may risk.

    The defaults fit a chain of about 2,200 contracts on a 750-dollar stock, quoted ten up at two venues. If every side
    in one direction traded at once, delta would move by about 1.5 to 2 million shares: that is what the `worst_*`
    limits see, and they bound what the quoter may show, not what it is expected to hold. The realistic case is bounded
    by market-maker protection, which purges after a few hundred contracts, and by the `held_*` limits below.

    Attributes:
        max_quote_size: Contracts on one side of one quote entry.
        max_order_size: Contracts of one option order.
        max_stock_order: Shares of one stock order.
        max_order_notional: Dollars of one order, price times quantity times multiplier.
        collar_dollars: A bid may stand this far above theo or the national offer, an offer this far below theo or the
            national bid, dollars per share; or `collar_fraction` of the theo where that is more.
        collar_fraction: See `collar_dollars`. Dimensionless.
        stock_collar_fraction: A stock order may be priced this far through the national best price. Dimensionless.
        worst_delta: Net delta if all resting quotes and orders of either direction trade, shares.
        worst_gamma: The same for gamma, shares per dollar.
        worst_vega: The same for vega, dollars per 1.00 of volatility.
        held_delta: Net delta of the held book from which entries that could add to it are refused, shares.
        held_gamma: The same for gamma, shares per dollar.
        held_vega: The same for vega, dollars per 1.00 of volatility.
        max_position: Contracts held and resting of one option, either way.
        max_stock: Shares held and resting, either way.
        max_notional: Gross dollars of held and resting options at theo, stock and stock orders at spot.
        rate_window_ms: Rolling window of event time for the message rate.
        max_messages: Outbound messages in the window. Cancels are counted and never refused.
        max_entries: Mass-quote entries in the window.
        duplicate_window_ms: Within this time an order equal to an earlier one in venue, contract, side, quantity, price
            and type is taken for a mistake.
        stale_ms: Age of the underlying's quote or of the theos above which risk is not added. The default fits a feed
            of minute bars of which one may be missing; a live feed takes 1,000 to 2,000.
        short_sale_restricted: 1 while a short-sale price restriction is in force. Source: Regulation SHO, Rule 201.
        allow_market_orders: 1 lets orders without a price pass. Source of the default: 15c3-5(c)(1)(ii), orders are
            checked by price before they leave.
        restricted: OSI symbols without padding, or the underlying's symbol for all of it including the stock.

    Raises:
        InputError: A number is negative, not finite or, where it counts, not whole; the field is named.
    """

    max_quote_size: int = 100
    max_order_size: int = 200
    max_stock_order: int = 50_000
    max_order_notional: float = 50_000_000.0
    collar_dollars: float = 0.50
    collar_fraction: float = 0.20
    stock_collar_fraction: float = 0.01
    worst_delta: float = 4_000_000.0
    worst_gamma: float = 400_000.0
    worst_vega: float = 2_000_000_000.0
    held_delta: float = 20_000.0
    held_gamma: float = 50_000.0
    held_vega: float = 20_000_000.0
    max_position: int = 2_000
    max_stock: int = 250_000
    max_notional: float = 4_000_000_000.0
    rate_window_ms: int = 1_000
    max_messages: int = 1_000
    max_entries: int = 200_000
    duplicate_window_ms: int = 100
    stale_ms: int = 150_000
    short_sale_restricted: int = 0
    allow_market_orders: int = 0
    restricted: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be a limit."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name == "restricted":
                if list(value) != sorted(set(value)):
                    raise InputError(
                        "restricted symbols must be sorted and differ", field="limits.restricted", value=value
                    )
            elif not math.isfinite(value) or value < 0:
                raise InputError("limit must be finite and not negative", field=f"limits.{name}", value=value)
            elif name in _FLAGS and value not in (0, 1):
                raise InputError("limit must be 0 or 1", field=f"limits.{name}", value=value)
        if self.rate_window_ms == 0:
            raise InputError("limit must be positive", field="limits.rate_window_ms", value=0)

    def with_changes(self, changes: Mapping[str, float]) -> Limits:
        """Return the limits with the named ones replaced: all of them, or none.

        Raises:
            InputError: Nothing is named, a name is unknown, or a value cannot be that limit; the field is named.
        """
        if not changes:
            raise InputError("no limit is named", field="limits", value="")
        fields: dict[str, object] = {}
        restricted = dict.fromkeys(self.restricted)
        for name, value in changes.items():
            if name.startswith(RESTRICT_PREFIX):
                symbol = _restricted_symbol(name)
                if value not in (0, 1):
                    raise InputError("limit must be 0 or 1", field=f"limits.{name}", value=value)
                restricted.pop(symbol, None)
                if value == 1:
                    restricted[symbol] = None
                continue
            current = getattr(self, name, None) if name in self.__struct_fields__ else None
            if not isinstance(current, int | float):
                raise InputError("unknown limit", field=f"limits.{name}", value=value)
            if not math.isfinite(value):
                raise InputError("limit must be finite and not negative", field=f"limits.{name}", value=value)
            if isinstance(current, int) and value != int(value):
                raise InputError("limit must be a whole number", field=f"limits.{name}", value=value)
            fields[name] = type(current)(value)
        return msgspec.structs.replace(self, **fields, restricted=tuple(sorted(restricted)))


def _restricted_symbol(name: str) -> str:
    """Return the symbol behind the prefix: compact OSI, or the letters of an underlying."""
    text = name.removeprefix(RESTRICT_PREFIX)
    if text.replace(".", "").isalpha() and text.isupper():
        return text
    try:
        contract = parse_osi(text)
    except InputError as error:
        raise InputError("restricted symbol cannot be read", field=f"limits.{name}", value=text) from error
    return contract.osi.replace(" ", "")

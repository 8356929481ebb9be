"""What a market input must be before any stage sees it: of this chain, and of numbers that a market can have.

The stages of a shard see an input all together or not at all: one that a single stage refused would leave the others
with another market. A crossed quote passes: it happens, and each stage knows what to make of it.
"""

from __future__ import annotations

from typing import Final

from domain.errors import DataError, UnknownContract
from domain.events import NbboUpdated, OpenInterestPublished, TradesPrinted, UnderlyingTraded, UnderlyingUpdated
from domain.events_base import Event

_SCALARS: Final[dict[type[Event], tuple[str, ...]]] = {
    UnderlyingUpdated: ("bid", "bid_size", "ask", "ask_size"),
    UnderlyingTraded: ("price", "low", "high", "volume"),
}


def admit(event: Event, contracts: int) -> None:
    """Refuse a market input that names a contract outside the chain, or holds a negative price or size.

    Args:
        event: Any input; those that are not about the market pass.
        contracts: Number of contracts of the chain.

    Raises:
        UnknownContract: A row is of no contract of the chain; field and value are named.
        DataError: A price or size is negative; field, value and contract are named.
    """
    if isinstance(event, NbboUpdated | TradesPrinted | OpenInterestPublished):
        columns = event.frame.columns()
        contract = columns["contract"]
        if not len(contract):
            return
        outside = (contract < 0) | (contract >= contracts)
        if outside.any():
            raise UnknownContract(field="contract", value=int(contract[outside][0]), contracts=contracts)
        for name, values in columns.items():
            if values.min() < 0:
                row = int(values.argmin())
                raise DataError("must not be negative", field=name, value=int(values[row]), contract=int(contract[row]))
        return
    for name in _SCALARS.get(type(event), ()):
        if (value := getattr(event, name)) < 0:
            raise DataError("must not be negative", field=name, value=value)

"""What contracts and venues are called in tables."""

from __future__ import annotations

from collections.abc import Sequence

from domain.chain import Chain
from domain.commands import STOCK


class Names:
    """Symbols by contract and names by venue index. A venue without a name is called by its index."""

    def __init__(self, venues: Sequence[str]) -> None:
        self.underlying = ""
        self.symbols: list[str] = []
        self._venues = list(venues)

    def list_chain(self, chain: Chain) -> None:
        """Take over the symbols of a chain."""
        self.underlying = chain.underlying
        self.symbols = [contract.osi for contract in chain.contracts]

    def symbol(self, contract: int) -> str:
        """OSI symbol; the underlying's for STOCK; the index itself where the chain does not list it."""
        if contract == STOCK:
            return self.underlying
        return self.symbols[contract] if 0 <= contract < len(self.symbols) else str(contract)

    def venue(self, index: int) -> str:
        """Name of a venue."""
        return self._venues[index] if 0 <= index < len(self._venues) else str(index)

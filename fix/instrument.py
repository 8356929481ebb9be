"""Instruments on the wire: what names a contract of a chain, and which contract a message names.

No dense index leaves the process. An option is its OSI root, type, expiration date, right and strike; an adjusted one
also shows the last digit of its root, one whose multiplier is not 100 its multiplier. Everything is written once for
each contract, when the chain is known.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from domain.chain import Chain
from domain.commands import STOCK
from domain.errors import UnknownContract
from domain.instrument import STRIKE_SCALE, OptionContract
from fix.messages import INSTRUMENT
from fix.tags import Tag
from fix.values import bad, price_units
from fix.wire import SOH, Record, Writer

_STANDARD_MULTIPLIER: Final = 100
_OPTION, _STOCK = "OPT", "CS"
_UNITS_OF_STRIKE: Final = 10
_ORDER: Final = tuple(item.tag for item in INSTRUMENT)

Fields = tuple[tuple[Tag, str], ...]


class Instruments:
    """The contracts of a chain and its underlying, both ways.

    Attributes:
        underlying: Symbol of the underlying.
        blocks: By contract, its fields in the order that groups have, each with its end mark.
        entries: By contract, the same behind its quote entry identifier.
        by_entry: The contract of each of `entries`.
        entry_ids: By contract, its OSI symbol without blanks.
    """

    def __init__(self, chain: Chain) -> None:
        """Write every contract."""
        self.underlying = chain.underlying
        self._fields = [_fields(contract) for contract in chain.contracts]
        self._stock: Fields = ((Tag.SYMBOL, chain.underlying), (Tag.SECURITY_TYPE, _STOCK))
        self.blocks = ["".join(f"{tag.value}={value}{SOH}" for tag, value in fields) for fields in self._fields]
        self.entry_ids = [contract.osi.replace(" ", "") for contract in chain.contracts]
        self.entries = [
            f"{Tag.QUOTE_ENTRY_ID.value}={name}{SOH}{block}"
            for name, block in zip(self.entry_ids, self.blocks, strict=True)
        ]
        self.by_entry = {entry: position for position, entry in enumerate(self.entries)}
        self._by_terms = {
            (contract.root, contract.expiry.strftime("%Y%m%d"), _right(contract), contract.strike): position
            for position, contract in enumerate(chain.contracts)
        }

    def put(self, writer: Writer, contract: int) -> None:
        """Add the fields of a contract, or with STOCK of the underlying, to a message.

        Raises:
            UnknownContract: The chain has no such position.
        """
        for tag, value in self._stock if contract == STOCK else self._fields[self.known(contract)]:
            writer.put(tag, value)

    def known(self, contract: int) -> int:
        """Return the position of an option.

        Raises:
            UnknownContract: The chain has no such position.
        """
        if not 0 <= contract < len(self.blocks):
            raise UnknownContract(contract=contract, underlying=self.underlying)
        return contract

    def option_of(self, record: Record) -> int:
        """Return the position of the option that a message or entry names.

        Raises:
            DataError: The instrument is incomplete, contradicts itself, is no option or not of this chain.
        """
        contract = self.contract_of(record)
        if contract == STOCK:
            raise bad("instrument must be an option", Tag.SECURITY_TYPE, record.text(Tag.SECURITY_TYPE))
        return contract

    def contract_of(self, record: Record) -> int:
        """Return the position of the contract that a message or entry names, STOCK for the underlying itself.

        Raises:
            DataError: The instrument is incomplete, contradicts itself or is not of this chain.
        """
        kind, symbol = record.must(Tag.SECURITY_TYPE), record.must(Tag.SYMBOL)
        if kind == _STOCK:
            if symbol != self.underlying:
                raise bad("unknown instrument", Tag.SYMBOL, symbol)
            return STOCK
        if kind != _OPTION:
            raise bad("instrument must be an option or a stock", Tag.SECURITY_TYPE, kind)
        strike = price_units(record.must(Tag.STRIKE_PRICE), Tag.STRIKE_PRICE)
        terms = symbol, record.must(Tag.MATURITY_DATE), record.must(Tag.PUT_OR_CALL), strike // _UNITS_OF_STRIKE
        position = self._by_terms.get(terms)
        if position is None or strike % _UNITS_OF_STRIKE:
            named = " ".join(record.text(tag) for tag in _ORDER if tag in record.values)
            raise bad("unknown instrument", Tag.SYMBOL, named)
        self._check(record, position)
        return position

    def _check(self, record: Record, position: int) -> None:
        """Refuse fields that contradict the contract."""
        fields = dict(self._fields[position])
        attribute = record.text(Tag.OPT_ATTRIBUTE)
        if attribute and attribute != fields.get(Tag.OPT_ATTRIBUTE):
            raise bad("attribute is not that of the contract", Tag.OPT_ATTRIBUTE, attribute)
        multiplier = record.text(Tag.CONTRACT_MULTIPLIER)
        known = fields.get(Tag.CONTRACT_MULTIPLIER, str(_STANDARD_MULTIPLIER))
        if multiplier and record.quantity(Tag.CONTRACT_MULTIPLIER) != int(known):
            raise bad("multiplier is not that of the contract", Tag.CONTRACT_MULTIPLIER, multiplier)
        name = record.text(Tag.QUOTE_ENTRY_ID)
        if name and name != self.entry_ids[position]:
            raise bad("entry is named like another contract", Tag.QUOTE_ENTRY_ID, name)


def _right(contract: OptionContract) -> str:
    return "1" if contract.is_call else "0"


def _fields(contract: OptionContract) -> Fields:
    values = {
        Tag.SYMBOL: contract.root,
        Tag.SECURITY_TYPE: _OPTION,
        Tag.MATURITY_DATE: contract.expiry.strftime("%Y%m%d"),
        Tag.PUT_OR_CALL: _right(contract),
        Tag.STRIKE_PRICE: f"{Decimal(contract.strike) / STRIKE_SCALE:f}",
    }
    if contract.is_adjusted:
        values[Tag.OPT_ATTRIBUTE] = contract.root[-1]
    if contract.multiplier != _STANDARD_MULTIPLIER:
        values[Tag.CONTRACT_MULTIPLIER] = str(contract.multiplier)
    return tuple((tag, values[tag]) for tag in _ORDER if tag in values)

"""What a venue reports about quotes (35=b) and about itself (h)."""

from __future__ import annotations

from typing import Final

import numpy as np

from domain.events import (
    QuoteRefusal,
    QuotesAcknowledged,
    QuotesCanceled,
    VenueProtectionTripped,
    VenueStatusChanged,
)
from domain.frames import QuoteRefusalFrame
from fix.binding import Binding
from fix.messages import MsgType
from fix.tags import Tag
from fix.values import bad, identifier, natural_text, unwritable
from fix.wire import SOH, Body, Record, Writer, code

QuoteAnswer = QuotesAcknowledged | QuotesCanceled | VenueProtectionTripped

ACCEPTED, LISTED_GONE, UNDERLYING_GONE, ALL_GONE, ALL_REFUSED = "0", "1", "3", "4", "5"
_UP, _DOWN = "2", "3"
_IS_UP: Final = {_UP: True, _DOWN: False}
_SESSION: Final = "DAY"
_OTHER: Final = "99"
_CODES: Final = {each.value: str(each.value) for each in QuoteRefusal}
_REFUSALS: Final = {str(each.value): each.value for each in QuoteRefusal}
_REASONS: Final = {
    QuoteRefusal.UNKNOWN_CONTRACT.value: "1",
    QuoteRefusal.HALTED.value: "2",
    QuoteRefusal.SIZE.value: "3",
    QuoteRefusal.LIMIT.value: "3",
    QuoteRefusal.STALE.value: "4",
    QuoteRefusal.DUPLICATE.value: "6",
    QuoteRefusal.CROSSED.value: "7",
    QuoteRefusal.OFF_TICK.value: "8",
    QuoteRefusal.RESTRICTED.value: "9",
    QuoteRefusal.VENUE.value: "9",
}
"""Our codes of refusals (368) to those of tag 300, where it has one."""


class QuoteReports:
    """Reports about quotes of one chain at one venue."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding

    # --- to the wire --------------------------------------------------------------------------------------------------
    def write_acknowledged(self, event: QuotesAcknowledged) -> Body:
        """Return the acknowledgement of a mass quote; only refused entries are listed.

        Raises:
            InputError: The venue is another, a contract not in the chain, a refusal has no code, or a value cannot be
                written.
        """
        binding, frame = self._binding, event.frame
        writer = binding.stamped(event)
        binding.address(writer, event.venue)
        for venue in np.unique(frame.venue).tolist():
            binding.address(writer, venue)
        writer.put(Tag.QUOTE_ID, identifier(event.quote_set_id, Tag.QUOTE_ID))
        reasons = frame.reason.tolist()
        if unknown := [reason for reason in reasons if reason not in _CODES]:
            raise unwritable("refusal has no code", Tag.QUOTE_ENTRY_REJECT_REASON, unknown[0])
        is_all = bool(reasons) and event.accepted == 0
        writer.put(Tag.QUOTE_STATUS, ALL_REFUSED if is_all else ACCEPTED)
        if is_all:
            same = all(reason == reasons[0] for reason in reasons)
            writer.put(Tag.QUOTE_REJECT_REASON, _REASONS.get(reasons[0], _OTHER) if same else _OTHER)
        writer.put(Tag.ACCEPTED_ENTRIES, natural_text(event.accepted, Tag.ACCEPTED_ENTRIES))
        known, entries = binding.instruments.known, binding.instruments.entries
        self._put_set(
            writer,
            [
                f"{entries[known(contract)]}368={_CODES[reason]}{SOH}"
                for contract, reason in zip(frame.contract.tolist(), reasons, strict=True)
            ],
        )
        return writer.body(MsgType.MASS_QUOTE_ACKNOWLEDGEMENT)

    def write_canceled(self, event: QuotesCanceled) -> Body:
        """Return the report of quotes that are gone; raises as `write_acknowledged` does."""
        binding = self._binding
        writer = binding.stamped(event)
        binding.address(writer, event.venue)
        if event.cancel_id:
            writer.put(Tag.QUOTE_ID, identifier(event.cancel_id, Tag.QUOTE_ID))
        writer.put(Tag.QUOTE_STATUS, LISTED_GONE if event.contracts else UNDERLYING_GONE)
        known, entries = binding.instruments.known, binding.instruments.entries
        self._put_set(writer, [entries[known(contract)] for contract in event.contracts])
        writer.put_text(event.reason)
        return writer.body(MsgType.MASS_QUOTE_ACKNOWLEDGEMENT)

    def write_protection(self, event: VenueProtectionTripped) -> Body:
        """Return the report of a protection that tripped.

        Raises:
            InputError: The venue is another, or the rule has no name that can be written.
        """
        writer = self._binding.stamped(event)
        self._binding.address(writer, event.venue)
        writer.put(Tag.QUOTE_STATUS, UNDERLYING_GONE)
        writer.put(Tag.PROTECTION_RULE, identifier(event.rule, Tag.PROTECTION_RULE))
        return writer.body(MsgType.MASS_QUOTE_ACKNOWLEDGEMENT)

    def write_status(self, event: VenueStatusChanged) -> Body:
        """Return a TradingSessionStatus; raises as `write_acknowledged` does."""
        writer = self._binding.stamped(event)
        self._binding.address(writer, event.venue)
        writer.put(Tag.TRADING_SESSION_ID, _SESSION)
        writer.put(Tag.TRAD_SES_STATUS, _UP if event.is_up else _DOWN)
        writer.put_text(event.reason)
        return writer.body(MsgType.TRADING_SESSION_STATUS)

    def _put_set(self, writer: Writer, entries: list[str]) -> None:
        if not entries:
            return
        name, n = self._binding.underlying, len(entries)
        head = f"302={name}\x01311={name}\x01304={n}\x01295={n}\x01"
        writer.put_entries(Tag.NO_QUOTE_SETS, 1, head + "".join(entries))

    # --- from the wire ------------------------------------------------------------------------------------------------
    def read_answer(self, record: Record) -> QuoteAnswer:
        """Return the event of a MassQuoteAcknowledgement: which one its status and 9506 say.

        Raises:
            DataError: A field is wrong or missing, or an instrument unknown.
        """
        binding = self._binding
        status, rule = record.must(Tag.QUOTE_STATUS), record.text(Tag.PROTECTION_RULE)
        if status in (ACCEPTED, ALL_REFUSED):
            return self._acknowledged(record)
        if status not in (LISTED_GONE, UNDERLYING_GONE, ALL_GONE):
            raise bad("code is unknown", Tag.QUOTE_STATUS, status)
        if rule:
            return VenueProtectionTripped(**binding.stamps(record), venue=binding.venue, rule=rule)
        entries = self._entries(record)
        if (status == LISTED_GONE) != bool(entries):
            raise bad("entries and status do not agree", Tag.QUOTE_STATUS, status)
        return QuotesCanceled(
            **binding.stamps(record),
            venue=binding.venue,
            cancel_id=record.text(Tag.QUOTE_ID),
            contracts=tuple(binding.instruments.option_of(entry) for entry in entries),
            reason=record.free_text(),
        )

    def _acknowledged(self, record: Record) -> QuotesAcknowledged:
        binding = self._binding
        entries = self._entries(record)
        accepted = record.natural(Tag.ACCEPTED_ENTRIES)
        if record.text(Tag.QUOTE_STATUS) == ALL_REFUSED and accepted:
            raise bad("entries and status do not agree", Tag.ACCEPTED_ENTRIES, str(accepted))
        return QuotesAcknowledged(
            **binding.stamps(record),
            venue=binding.venue,
            quote_set_id=record.must(Tag.QUOTE_ID),
            accepted=accepted,
            frame=QuoteRefusalFrame(
                venue=np.full(len(entries), binding.venue, np.int16),
                contract=np.array([binding.instruments.option_of(entry) for entry in entries], np.int32),
                reason=np.array([code(entry, Tag.QUOTE_ENTRY_REJECT_REASON, _REFUSALS) for entry in entries], np.int8),
            ),
        )

    def _entries(self, record: Record) -> list[Record]:
        entries: list[Record] = []
        for each in record.group(Tag.NO_QUOTE_SETS):
            found = each.group(Tag.NO_QUOTE_ENTRIES)
            if each.must(Tag.UNDERLYING_SYMBOL) != self._binding.underlying:
                raise bad("quote set is of another underlying", Tag.UNDERLYING_SYMBOL, each.must(Tag.UNDERLYING_SYMBOL))
            if each.natural(Tag.TOT_NO_QUOTE_ENTRIES) != len(found):
                raise bad(
                    "entries are not as many as the set says",
                    Tag.TOT_NO_QUOTE_ENTRIES,
                    each.must(Tag.TOT_NO_QUOTE_ENTRIES),
                )
            entries += found
        return entries

    def read_status(self, record: Record) -> VenueStatusChanged:
        """Return the event of a TradingSessionStatus.

        Raises:
            DataError: A field is wrong or missing.
        """
        return VenueStatusChanged(
            **self._binding.stamps(record),
            venue=self._binding.venue,
            is_up=code(record, Tag.TRAD_SES_STATUS, _IS_UP),
            reason=record.free_text(),
        )

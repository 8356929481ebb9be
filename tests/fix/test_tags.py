"""The tables of tags and messages agree with each other, and with what the mapping writes."""

from __future__ import annotations

import pytest

from domain.events import ExecType, OrdStatus, QuoteRefusal
from fix.messages import HEADER, MESSAGES, TRAILER, Item, Message, MsgType
from fix.tags import BY_NUMBER, CODES, FIRST_OWN, LAST_OWN, Tag
from tests.fix.dialect import SAMPLES, SOH, only


def every(items: tuple[Item, ...]) -> list[Item]:
    """The items of a message and of its groups."""
    return [each for item in items for each in (item, *every(item.entries))]


def test_names_and_numbers_are_unique() -> None:
    assert len({tag.fix_name for tag in Tag}) == len(BY_NUMBER) == len(list(Tag))


def test_tags_of_our_own_are_named_so_and_stand_in_their_range() -> None:
    own = {tag for tag in Tag if tag.fix_name.startswith("Axiom")}
    assert own == {tag for tag in Tag if FIRST_OWN <= tag.value <= LAST_OWN}
    assert all(tag.value < 1_000 for tag in Tag if tag not in own)


def test_every_tag_is_used_and_every_message_has_its_rules() -> None:
    used = {item.tag for message in MESSAGES.values() for item in every(message.items)}
    assert used | {item.tag for item in (*HEADER, *TRAILER)} == set(Tag)
    assert set(MESSAGES) == set(MsgType)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda message: message.name)
def test_messages_ascend_and_groups_are_counts(message: Message) -> None:
    tags = [item.tag for item in message.items]
    assert tags == sorted(set(tags))
    for item in every(message.items):
        assert bool(item.entries) == (item.tag.kind == "NUMINGROUP")
        assert not item.entries or item.entries[0].required


def test_codes_are_those_of_the_events() -> None:
    assert set(CODES[Tag.EXEC_TYPE]) == {each.value for each in ExecType}
    assert set(CODES[Tag.ORD_STATUS]) == {each.value for each in OrdStatus}
    assert set(CODES[Tag.QUOTE_ENTRY_REJECT_REASON]) == {str(each.value) for each in QuoteRefusal}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_what_is_written_is_in_the_tables(name: str) -> None:
    body = only(SAMPLES[name])
    allowed = {item.tag.value for item in every(MESSAGES[MsgType(body.msg_type)].items)}
    for field in body.fields.decode().rstrip(SOH).split(SOH):
        number, _, value = field.partition("=")
        tag = BY_NUMBER[int(number)]
        assert tag.value in allowed
        assert tag not in CODES or value in CODES[tag]


def test_groups_are_found_however_deep() -> None:
    entries = MESSAGES[MsgType.MASS_QUOTE].group(Tag.NO_QUOTE_ENTRIES)
    assert entries[0].tag == Tag.QUOTE_ENTRY_ID
    with pytest.raises(KeyError):
        MESSAGES[MsgType.MASS_QUOTE].group(Tag.NO_MISC_FEES)

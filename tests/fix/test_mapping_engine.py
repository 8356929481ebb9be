"""The engine takes our messages by our dictionary, with validation, and sends exactly the bytes that we wrote."""

from __future__ import annotations

from typing import Any

import pytest
import quickfix
from hypothesis import given, settings

from fix.session import DIALECT
from fix.tags import Tag
from tests.fix.dialect import MAPPER, QUOTES, SAMPLES, messages, only, whole

DICTIONARY = quickfix.DataDictionary(str(DIALECT))


def through_engine(raw: str) -> str:
    """Parse and validate as a session does, and write again: fields out of place would move, groups fall apart."""
    message = quickfix.Message(raw, DICTIONARY, True)
    DICTIONARY.validate(message)
    text = message.toString()
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_samples_pass_validation_unchanged(name: str) -> None:
    raw = whole(only(SAMPLES[name]))
    assert through_engine(raw) == raw


@pytest.mark.parametrize("name", sorted(messages))
def test_any_message_passes_validation_unchanged(name: str) -> None:
    @settings(max_examples=25)
    @given(messages[name])
    def check(message: Any) -> None:  # noqa: ANN401
        raw = whole(only(message))
        text = through_engine(raw)
        assert text == raw
        assert MAPPER.read(text) == message

    check()


def test_the_engine_sees_the_entries_of_a_mass_quote() -> None:
    message = quickfix.Message(whole(only(QUOTES)), DICTIONARY, True)
    quote_set = quickfix.Group(Tag.NO_QUOTE_SETS.value, Tag.QUOTE_SET_ID.value)
    message.getGroup(1, quote_set)
    found = []
    for number in range(1, len(QUOTES.frame) + 1):
        entry = quickfix.Group(Tag.NO_QUOTE_ENTRIES.value, Tag.QUOTE_ENTRY_ID.value)
        quote_set.getGroup(number, entry)
        found.append((entry.getField(Tag.SYMBOL.value), entry.getField(Tag.STRIKE_PRICE.value)))
    assert found == [("GOOG", "742.5"), ("GOOG", "750"), ("GOOG1", "750"), ("GOOG7", "750"), ("GOOG", "740")]


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        ("\x0154=1\x01", "\x0154=Q\x01", quickfix.IncorrectTagValue),
        ("\x0138=5\x01", "\x0138=x\x01", quickfix.IncorrectDataFormat),
        ("\x0111=20151224-A-0000007\x01", "\x01", quickfix.RequiredTagMissing),
    ],
)
def test_the_engine_refuses_what_the_dictionary_refuses(
    old: str, new: str, refusal: type[quickfix.FIXException]
) -> None:
    raw = whole(only(SAMPLES["new_order"]))
    assert old in raw
    with pytest.raises(refusal):
        DICTIONARY.validate(quickfix.Message(raw.replace(old, new), DICTIONARY, False))

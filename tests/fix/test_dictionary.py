"""The data dictionary is what the tables of tags and messages say, and the engine reads it so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import quickfix

from fix.messages import MESSAGES, Item, MsgType
from fix.session import DIALECT

CHECKOUT = Path(__file__).resolve().parents[2]
SOH = "\x01"


def test_the_file_is_what_the_tables_say() -> None:
    done = subprocess.run(
        [sys.executable, "tools/build_fix_dictionary.py", "--check"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_every_tag_has_a_type_and_every_group_keeps_its_order() -> None:
    root = ET.fromstring(DIALECT.read_text())  # noqa: S314 - a file of the project
    defined = {field.get("name"): int(field.get("number", "0")) for field in root.iterfind("fields/field")}

    def order(element: ET.Element) -> list[object]:
        return [(defined[child.get("name")], order(child)) for child in element]

    def expected(items: tuple[Item, ...]) -> list[object]:
        return [(item.tag.value, expected(item.entries)) for item in items]

    read = {message.get("msgtype"): order(message) for message in root.iterfind("messages/message")}
    assert read == {message.msg_type.value: expected(message.items) for message in MESSAGES.values()}


@pytest.mark.parametrize("entries", [1, 2, 200])
def test_the_engine_keeps_the_entries_of_a_mass_quote_together(entries: int) -> None:
    quotes = [
        [f"299=GOOG160115C{strike:08d}", "55=GOOG", "167=OPT", "541=20160115", "201=1", f"202={strike}", "132=1.05"]
        for strike in range(700, 700 + entries)
    ]
    group = SOH.join(field for quote in quotes for field in quote)
    head = f"8=FIX.4.4{SOH}9=0{SOH}35={MsgType.MASS_QUOTE.value}{SOH}"
    quote_set = SOH.join(["296=1", "302=GOOG", "311=GOOG", f"304={entries}", f"295={entries}", group])
    raw = f"{head}117=q1{SOH}{quote_set}{SOH}10=000{SOH}"
    text = quickfix.Message(raw, quickfix.DataDictionary(str(DIALECT)), False).toString()
    assert group in text

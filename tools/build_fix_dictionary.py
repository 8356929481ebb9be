"""Writes fix/dictionary/AXIOM44.xml, the engine's data dictionary of our dialect, from fix/tags.py and fix/messages.py.

Codes of session fields, which our tables leave to FIX.4.4, are taken from the FIX44.xml that the engine's package
installs. `--check` writes nothing and fails when the file is not what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from fix.messages import HEADER, MESSAGES, TRAILER, Item  # noqa: E402
from fix.session import DIALECT  # noqa: E402
from fix.tags import CODES, Tag  # noqa: E402

STANDARD = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
SESSION_TAGS = (Tag.ENCRYPT_METHOD, Tag.SESSION_REJECT_REASON, Tag.BUSINESS_REJECT_REASON)
HEAD = "<!-- Written by tools/build_fix_dictionary.py from fix/tags.py and fix/messages.py. -->"


def yes_no(value: bool) -> str:  # noqa: FBT001
    """A flag as dictionaries write it."""
    return "Y" if value else "N"


def element_of(item: Item) -> ET.Element:
    """A field of a message, or a group with its fields in their order."""
    element = ET.Element(
        "group" if item.entries else "field", name=item.tag.fix_name, required=yes_no(value=item.required)
    )
    element.extend(element_of(entry) for entry in item.entries)
    return element


def section(kind: str, items: Iterable[Item], **attributes: str) -> ET.Element:
    """Header, trailer or message."""
    element = ET.Element(kind, attributes)
    element.extend(element_of(item) for item in items)
    return element


def tags_in(items: Sequence[Item]) -> Iterator[Tag]:
    """Every tag of the items, those inside groups too."""
    for item in items:
        yield item.tag
        yield from tags_in(item.entries)


def standard_codes(path: Path) -> dict[Tag, dict[str, str]]:
    """Codes of the session's fields in FIX.4.4."""
    root = ET.parse(path).getroot()  # noqa: S314 - a file of an installed, pinned package
    found = {int(field.get("number", "0")): field for field in root.iterfind("fields/field")}
    return {
        tag: {value.get("enum", ""): value.get("description", "") for value in found[tag].iterfind("value")}
        for tag in SESSION_TAGS
    }


def field_of(tag: Tag, codes: dict[str, str]) -> ET.Element:
    """Definition of a tag with what it may say."""
    element = ET.Element("field", number=str(tag.value), name=tag.fix_name, type=tag.kind)
    for code, meaning in codes.items():
        words = "".join(letter if letter.isalnum() else "_" for letter in meaning.upper())
        ET.SubElement(element, "value", enum=code, description=words)
    return element


def dictionary(standard: Path) -> str:
    """The whole document."""
    root = ET.Element("fix", type="FIX", major="4", minor="4", servicepack="0")
    root.append(section("header", HEADER))
    messages = ET.SubElement(root, "messages")
    for message in MESSAGES.values():
        category = "admin" if message.is_admin else "app"
        messages.append(
            section("message", message.items, name=message.name, msgcat=category, msgtype=message.msg_type.value)
        )
    root.append(section("trailer", TRAILER))
    ET.SubElement(root, "components")
    fields = ET.SubElement(root, "fields")
    codes = standard_codes(standard) | CODES
    codes[Tag.MSG_TYPE] = {message.msg_type.value: message.name for message in MESSAGES.values()}
    used = {*tags_in(HEADER), *tags_in(TRAILER)}.union(*(tags_in(message.items) for message in MESSAGES.values()))
    for tag in sorted(used):
        fields.append(field_of(tag, codes.get(tag, {})))
    ET.indent(root, " ")
    return f"{HEAD}\n{ET.tostring(root, encoding='unicode')}\n"


def main(arguments: Sequence[str]) -> int:
    """Write the file, or compare it."""
    text = dictionary(STANDARD)
    if "--check" in arguments:
        if DIALECT.is_file() and DIALECT.read_text() == text:
            return 0
        print(f"{DIALECT.relative_to(CHECKOUT)} is out of date: run tools/build_fix_dictionary.py", file=sys.stderr)
        return 1
    DIALECT.parent.mkdir(exist_ok=True)
    DIALECT.write_text(text)
    print(f"wrote {DIALECT.relative_to(CHECKOUT)}: {text.count('<message ')} messages, {text.count(' number=')} fields")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""docs/fix.md names every message and tag, and its tables are those of the code."""

from __future__ import annotations

from axiom import docs
from fix.messages import MESSAGES
from fix.tags import Tag


def test_the_tables_are_those_of_the_code() -> None:
    page = docs.FIX_TARGET.read_text(encoding="utf-8")
    assert page == docs.render_fix()
    assert all(f"### 35={message.msg_type.value} {message.name}\n" in page for message in MESSAGES.values())
    assert all(f"| {tag.value} | {tag.fix_name} |" in page for tag in Tag)


def test_the_page_says_what_it_is_not() -> None:
    words = docs.FIX_TARGET.read_text(encoding="utf-8").partition("<!-- begin tables -->")[0]
    assert "It is not the specification of any exchange" in words
    assert "binary\nprotocol" in words or "binary protocol" in words

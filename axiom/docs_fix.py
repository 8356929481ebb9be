"""The tables of docs/fix.md, from the tags and messages of the dialect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fix.messages import HEADER, MESSAGES, TRAILER, Item, Message
from fix.tags import CODES, FIRST_OWN, Tag


def tables() -> str:
    """Messages, then tags of our own, then all tags with their codes."""
    lines = [
        "## Messages",
        "",
        "Header and trailer are the engine's: " + _names((*HEADER, *TRAILER)) + ". `*` must be there.",
    ]
    for message in MESSAGES.values():
        lines += ["", *_message(message)]
    lines += ["", "## Tags of our own", "", *_tags(tag for tag in Tag if tag.value >= FIRST_OWN)]
    lines += ["", "## Standard tags", "", *_tags(tag for tag in Tag if tag.value < FIRST_OWN)]
    return "\n".join(lines)


def _message(message: Message) -> Iterator[str]:
    yield f"### 35={message.msg_type.value} {message.name}"
    yield ""
    yield f"{message.about}."
    if message.items:
        yield ""
        yield from _items(message.items, "")


def _items(items: tuple[Item, ...], indent: str) -> Iterator[str]:
    plain: list[Item] = []
    for item in items:
        if item.entries:
            if plain:
                yield f"{indent}- {_names(plain)}"
            plain = []
            yield f"{indent}- {_names([item])}, of each:"
            yield from _items(item.entries, indent + "  ")
        else:
            plain.append(item)
    if plain:
        yield f"{indent}- {_names(plain)}"


def _names(items: Iterable[Item]) -> str:
    return ", ".join(f"{item.tag.value} {item.tag.fix_name}{'*' if item.required else ''}" for item in items)


def _tags(tags: Iterable[Tag]) -> Iterator[str]:
    yield "| tag | name | type | meaning |"
    yield "|--:|---|---|---|"
    for tag in sorted(tags):
        codes = "; ".join(f"`{code}` {meaning}" for code, meaning in CODES.get(tag, {}).items())
        yield f"| {tag.value} | {tag.fix_name} | {tag.kind} | {tag.about}{f'. {codes}' if codes else ''} |"

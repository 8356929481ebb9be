"""Fields on the wire: the scan of a message into fields and groups, and the body of one that is to be sent.

The engine keeps length, checksum, sequence numbers and session times; here a message is what lies between. Nothing here
knows an instrument or an event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from domain.errors import DataError
from fix.messages import HEADER, MESSAGES, TRAILER, Item, MsgType
from fix.tags import BY_NUMBER, Tag
from fix.values import bad, natural, plain_text, price_units, quantity, signed, time_ns

Meaning = TypeVar("Meaning")

SOH: Final = "\x01"
_LONGEST_TAG: Final = 9
_DATA_LENGTH, _DATA = Tag.ENCODED_TEXT_LEN.value, Tag.ENCODED_TEXT.value
_TAGS: Final = {str(number): number for number in BY_NUMBER}
_ENVELOPE: Final = frozenset(item.tag.value for item in (*HEADER, *TRAILER))


class Body(NamedTuple):
    """A message without its envelope: the engine adds 8, 9, 35, 34, 49, 52, 56 before and 10 behind.

    Attributes:
        msg_type: Tag 35.
        fields: `tag=value` pairs, each ended by SOH, message level tags ascending, groups behind their counts.
        is_possible_resend: Whether the header has to say 97=Y.
    """

    msg_type: str
    fields: bytes
    is_possible_resend: bool = False


class Writer:
    """Collects the fields of one message in any order."""

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        self._fields: dict[int, str] = {}

    def put(self, tag: Tag, value: str) -> None:
        """Add a field; an empty value adds none, as FIX has no empty values."""
        if value:
            self._fields[tag] = value

    def put_group(self, count: Tag, entries: Sequence[str]) -> None:
        """Add a group of entries, each whole fields with their end marks; none adds no group."""
        if entries:
            self.put_entries(count, len(entries), "".join(entries))

    def put_entries(self, count: Tag, n: int, entries: str) -> None:
        """Add a group whose entries are already one text."""
        self._fields[count] = f"{n}{SOH}{entries[:-1]}"

    def put_text(self, text: str) -> None:
        """Add free text: 58, and 354 with 355 where it is not ASCII."""
        shown, whole = plain_text(text)
        self.put(Tag.TEXT, shown)
        if whole:
            self.put(Tag.ENCODED_TEXT_LEN, str(len(whole.encode())))
            self.put(Tag.ENCODED_TEXT, whole)

    def body(self, msg_type: MsgType, *, is_possible_resend: bool = False) -> Body:
        """Return the message."""
        fields = "".join(["%d=%s\x01" % field for field in sorted(self._fields.items())])  # noqa: UP031  # 3 times as fast
        return Body(msg_type.value, fields.encode(), is_possible_resend)


class Record:
    """The fields of a message, or of one entry of a group. What is read is named in every refusal.

    Attributes:
        values: Text by tag.
        groups: Entries by the tag of their count.
    """

    __slots__ = ("groups", "values")

    def __init__(self) -> None:
        self.values: dict[int, str] = {}
        self.groups: dict[int, list[Record]] = {}

    @property
    def msg_type(self) -> str:
        """Tag 35."""
        return self.must(Tag.MSG_TYPE)

    def text(self, tag: Tag) -> str:
        """Return a field, empty where it is absent."""
        return self.values.get(tag, "")

    def must(self, tag: Tag) -> str:
        """Return a field.

        Raises:
            DataError: It is missing.
        """
        value = self.values.get(tag)
        if value is None:
            raise bad("field is missing", tag, "")
        return value

    def free_text(self) -> str:
        """Return 355, else 58."""
        return self.values.get(Tag.ENCODED_TEXT) or self.values.get(Tag.TEXT, "")

    def is_set(self, tag: Tag) -> bool:
        """Return a Y/N field, False where it is absent.

        Raises:
            DataError: Neither Y nor N.
        """
        value = self.values.get(tag, "N")
        if value not in ("Y", "N"):
            raise bad("flag must be Y or N", tag, value)
        return value == "Y"

    def natural(self, tag: Tag, default: int | None = None) -> int:
        """Return a whole number that is not negative; DataError where it is none, or missing without a default."""
        value = self.values.get(tag)
        return default if value is None and default is not None else natural(self.must(tag), tag)

    def signed(self, tag: Tag) -> int:
        """Return a whole number; DataError where it is missing or none."""
        return signed(self.must(tag), tag)

    def quantity(self, tag: Tag, default: int | None = None) -> int:
        """Return a quantity; DataError where it is none, or missing without a default."""
        value = self.values.get(tag)
        return default if value is None and default is not None else quantity(self.must(tag), tag)

    def price(self, tag: Tag, default: int | None = None) -> int:
        """Return a price in units; DataError where it is none, or missing without a default."""
        value = self.values.get(tag)
        return default if value is None and default is not None else price_units(self.must(tag), tag)

    def time(self, own: Tag, standard: Tag) -> int:
        """Return ns since the epoch from our own tag, else from a standard one; DataError where both are bad."""
        value = self.values.get(own)
        return time_ns(self.must(standard), standard) if value is None else natural(value, own)

    def group(self, count: Tag) -> list[Record]:
        """Return the entries of a group, none where it is absent."""
        return self.groups.get(count, [])


class Layout(NamedTuple):
    """How fields are read at one level: which may stand there, which are counts of groups, and which must not."""

    own: frozenset[int]
    groups: dict[int, tuple[int, Layout]]
    required: tuple[int, ...]


def layout(items: tuple[Item, ...]) -> Layout:
    """Return the layout of a level and of the groups below it."""
    return Layout(
        frozenset(item.tag.value for item in items),
        {item.tag.value: (item.entries[0].tag.value, layout(item.entries)) for item in items if item.entries},
        tuple(item.tag.value for item in items if item.required),
    )


LAYOUTS: Final[dict[str, Layout]] = {kind.value: layout(message.items) for kind, message in MESSAGES.items()}


def scan(raw: str) -> list[tuple[int, str]]:
    """Cut a message into fields.

    Raises:
        DataError: A field is not `tag=value`, a tag is no number, a value is empty, or the last field has no end.
    """
    if not raw.endswith(SOH):
        raise bad("message must end with a field", 0, raw[-_LONGEST_TAG:])
    pieces = raw.split(SOH)
    pieces.pop()
    fields: list[tuple[int, str]] = []
    parts = iter(pieces)
    for piece in parts:
        number, _, value = piece.partition("=")
        tag = _TAGS.get(number) or _tag(number, piece)
        if tag == _DATA and fields and fields[-1][0] == _DATA_LENGTH:
            value = _data(value, parts, fields[-1][1])
        elif not value:
            raise bad("field must not be empty", tag, piece)
        fields.append((tag, value))
    return fields


def _data(value: str, rest: Iterator[str], length: str) -> str:
    """Return data of a length in bytes: it may hold the end mark, and so pieces of it stand in what follows."""
    n = natural(length, _DATA_LENGTH)
    while _bytes(value) < n:
        more = next(rest, None)
        if more is None:
            break
        value = f"{value}{SOH}{more}"
    if _bytes(value) != n:
        raise bad("data is not of its length", _DATA, value)
    return value


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _tag(number: str, piece: str) -> int:
    """Return the number of a tag that the dialect does not have."""
    if not (number.isascii() and number.isdigit() and len(number) <= _LONGEST_TAG) or number[0] == "0":
        raise bad("tag must be a number", 0, piece)
    return int(number)


def msg_type_of(raw: str) -> str:
    """Return tag 35.

    Raises:
        DataError: It is not the third field.
    """
    fields = raw.split(SOH, 3)
    if len(fields) < 4 or not fields[2].startswith("35="):
        raise bad("message type must be the third field", Tag.MSG_TYPE, fields[min(2, len(fields) - 1)])
    return fields[2][3:]


def read(raw: str) -> Record:
    """Read a message of the dialect, its header included.

    Raises:
        DataError: It is malformed, of a type that the dialect does not have, a field stands twice, is missing or in
            the wrong place, or the count of a group lies.
    """
    kind = msg_type_of(raw)
    rules = LAYOUTS.get(kind)
    if rules is None:
        raise bad("message type is unknown", Tag.MSG_TYPE, kind)
    return read_as(raw, rules)


def read_as(raw: str, rules: Layout) -> Record:
    """Read a message by a given layout; raises as `read` does."""
    fields = scan(raw)
    record = Record()
    values, own, groups = record.values, rules.own, rules.groups
    at, n = 0, len(fields)
    while at < n:
        tag, value = fields[at]
        if tag in values:
            raise bad("field stands twice", tag, value)
        if tag not in own and tag in BY_NUMBER and tag not in _ENVELOPE:
            raise bad("field does not belong here", tag, value)
        values[tag] = value
        at += 1
        if tag in groups:
            at = _read_group(fields, at, record, tag, rules)
    _require(record, rules)
    return record


def _read_group(fields: list[tuple[int, str]], at: int, into: Record, count: int, rules: Layout) -> int:
    """Read the entries behind a count; return where the next field stands."""
    first, inner = rules.groups[count]
    text = into.values[count]
    entries: list[Record] = []
    for _ in range(natural(text, count)):
        if at >= len(fields) or fields[at][0] != first:
            raise bad("count of a group is too high", count, text)
        entry = Record()
        while at < len(fields) and (tag := fields[at][0]) in inner.own and tag not in entry.values:
            entry.values[tag] = fields[at][1]
            at += 1
            if tag in inner.groups:
                at = _read_group(fields, at, entry, tag, inner)
        _require(entry, inner)
        entries.append(entry)
    if at < len(fields) and fields[at][0] == first:
        raise bad("count of a group is too low", count, text)
    into.groups[count] = entries
    return at


def _require(record: Record, rules: Layout) -> None:
    for tag in rules.required:
        if tag not in record.values:
            raise bad("field is missing", tag, "")


def code(record: Record, tag: Tag, codes: dict[str, Meaning]) -> Meaning:
    """Return what a code means.

    Raises:
        DataError: The field is missing or its code unknown.
    """
    value = record.must(tag)
    meaning = codes.get(value)
    if meaning is None:
        raise bad("code is unknown", tag, value)
    return meaning


def as_text(raw: str | bytes) -> str:
    """Return a message as text; bytes that are no UTF-8 stay apart from every character, and are refused later.

    Raises:
        DataError: Neither text nor bytes.
    """
    if isinstance(raw, bytes):
        return raw.decode("utf-8", "surrogateescape")
    if isinstance(raw, str):
        return raw
    raise DataError("message must be text or bytes", value=type(raw).__name__)

"""Events to bytes and back: JSON for small events, Arrow IPC streams for frames, and the canonical form that is hashed.

One table, `SCHEMAS`, names every schema and its version. Within a version only fields with defaults are added;
anything else is a new version and an upcaster. A frame event travels as one Arrow IPC stream whose schema metadata
carry the scalar fields as JSON, so that a stock Arrow reader sees the columns and needs nothing of ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeGuard

import msgspec
import pyarrow as pa

from domain import commands, events
from domain.arrow_stream import schema_of, write_stream
from domain.errors import DataError, InputError, SchemaUnknown
from domain.events_base import Event, FrameEvent
from domain.frames import Column, Frame

JSON_TYPE: Final = "application/json"
ARROW_TYPE: Final = "application/vnd.apache.arrow.stream"
HEADER_KEY: Final = b"axiom.header"

_ABSTRACT: Final = frozenset({"Event", "Command", "OperatorCommand", "Clearance"})
_NOT_HASHED: Final[dict[str, object]] = {"ts_init": 0, "run": "", "seal": ""}


class Encoded(NamedTuple):
    """A message as it travels: the schema and version ride in headers."""

    schema: str
    version: int
    payload: bytes


class Schema(NamedTuple):
    """How one event type travels. `frame` is None for small events; `nested` fields hold events themselves."""

    event: type[Event]
    version: int
    frame: type[Frame] | None
    header: type[msgspec.Struct]
    arrow: pa.Schema | None
    hashed: tuple[str, ...]
    nested: tuple[str, ...]


Upcaster = Callable[[dict[str, Any], dict[str, Column]], tuple[dict[str, Any], dict[str, Column]]]
"""(scalar fields, columns) of version n to those of version n + 1."""

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
VERSIONS: Final[dict[str, int]] = {}
"""Schemas whose version is above 1."""


def _frame_type(event: type[Event]) -> type[Frame] | None:
    kind = {field.name: field.type for field in msgspec.structs.fields(event)}.get("frame")
    return kind if isinstance(kind, type) and issubclass(kind, Frame) else None


def _schema(event: type[Event]) -> Schema:
    frame = _frame_type(event)
    version = VERSIONS.get(event.__name__, 1)
    hashed = tuple(name for name in event.__struct_fields__ if name not in _NOT_HASHED and name != "frame")
    kinds = {field.name: field.type for field in msgspec.structs.fields(event)}
    nested = tuple(name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, Event))
    if frame is None:
        return Schema(event, version, None, event, None, hashed, nested)
    header = msgspec.defstruct(
        f"{event.__name__}Header",
        [
            (f.name, f.type) if f.default is msgspec.NODEFAULT else (f.name, f.type, f.default)  # old payloads lack it
            for f in msgspec.structs.fields(event)
            if f.name != "frame"
        ],
        frozen=True,
        kw_only=True,
    )
    return Schema(event, version, frame, header, schema_of(frame), hashed, nested)


def _event_types() -> list[type[Event]]:
    found = {
        name: kind
        for module in (events, commands)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Event) and name not in _ABSTRACT
    }
    return [found[name] for name in sorted(found)]


SCHEMAS: Final[dict[str, Schema]] = {kind.__name__: _schema(kind) for kind in _event_types()}

_encoder = msgspec.json.Encoder()


def content_type(schema: str) -> str:
    """MIME type of a schema's payload."""
    return JSON_TYPE if _lookup(schema).frame is None else ARROW_TYPE


def encode(event: Event) -> Encoded:
    """Encode one event.

    Raises:
        InputError: A float of a small event is NaN or infinite (JSON has neither), or the type has no schema.
    """
    schema = SCHEMAS.get(type(event).__name__)
    if schema is None:
        raise InputError("event type has no schema", field="type", value=type(event).__name__)
    if schema.arrow is None or not _has_frame(event):
        return Encoded(schema.event.__name__, schema.version, _json(event))
    header = _json(schema.header(**{name: getattr(event, name) for name in schema.header.__struct_fields__}))
    payload = write_stream(event.frame, HEADER_KEY, header)
    return Encoded(schema.event.__name__, schema.version, payload)


def decode(name: str, version: int, payload: bytes | memoryview) -> Event:
    """Decode one event of any known version.

    Raises:
        SchemaUnknown: The schema or a version above ours.
        DataError: The payload is damaged or a field is missing or of the wrong type.
    """
    schema = _lookup(name)
    if version > schema.version or version < 1:
        raise SchemaUnknown(schema=name, version=version, newest=schema.version)
    try:
        if version == schema.version and schema.frame is None:
            return msgspec.json.decode(payload, type=schema.event)
        header, columns = _unpack(schema, payload)
        for step in range(version, schema.version):
            header, columns = UPCASTERS[name, step](header, columns)
        if schema.frame is None:
            return msgspec.convert(header, schema.event)
        fields = msgspec.structs.asdict(msgspec.convert(header, schema.header))
        fields["frame"] = schema.frame.from_columns(columns)
        return schema.event(**fields)
    except (msgspec.MsgspecError, pa.ArrowException, InputError, KeyError, ValueError, OSError) as error:
        raise DataError("payload cannot be decoded", schema=name, version=version, error=str(error)) from error


def canonical(event: Event) -> Sequence[bytes | memoryview]:
    """The parts that the digest hashes: no `ts_init`, run id or seal; columns as raw little-endian bytes."""
    schema = _lookup(type(event).__name__)
    if schema.nested:
        inner = {name: msgspec.structs.replace(getattr(event, name), ts_init=0) for name in schema.nested}
        event = msgspec.structs.replace(event, **inner)
    scalars = _encoder.encode([getattr(event, name) for name in schema.hashed])
    parts: list[bytes | memoryview] = [type(event).__name__.encode(), scalars]
    if _has_frame(event):
        parts.extend(values.data.cast("B") for values in event.frame.columns().values() if len(values))
    return parts


def _has_frame(event: Event) -> TypeGuard[FrameEvent]:
    """Whether an event carries a frame: the table was built from the fields of its type."""
    return SCHEMAS[type(event).__name__].frame is not None


def _lookup(name: str) -> Schema:
    schema = SCHEMAS.get(name)
    if schema is None:
        raise SchemaUnknown(schema=name)
    return schema


def _unpack(schema: Schema, payload: bytes | memoryview) -> tuple[dict[str, Any], dict[str, Column]]:
    if schema.frame is None:
        return msgspec.json.decode(payload, type=dict[str, Any]), {}
    with pa.ipc.open_stream(pa.py_buffer(payload)) as reader:
        table = reader.read_all()
    header = msgspec.json.decode((table.schema.metadata or {})[HEADER_KEY], type=dict[str, Any])
    columns = {name: table.column(name).combine_chunks().to_numpy(zero_copy_only=False) for name in table.column_names}
    return header, columns


def _json(value: msgspec.Struct) -> bytes:
    data = _encoder.encode(value)
    if b"null" in data:
        _refuse_non_finite(value)
    return data


def _refuse_non_finite(value: msgspec.Struct) -> None:
    for name in value.__struct_fields__:
        item = getattr(value, name)
        for number in item.values() if isinstance(item, dict) else (item,):
            if isinstance(number, float) and not math.isfinite(number):
                raise InputError("number is not finite", field=name, value=number, event=type(value).__name__)

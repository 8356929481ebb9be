"""Frames as Arrow IPC streams, byte for byte what the stock writer makes, without building Arrow arrays.

The metadata of a record batch depend on its schema and its number of rows alone. They are taken once from the stock
writer for each number of rows; the columns follow as they lie in memory, each padded to eight bytes. That leaves the
path from tick to quote with one copy of the columns.

Source: Arrow columnar format 1.5, "Serialization and Interprocess Communication (IPC)".
"""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np
import pyarrow as pa

from domain.frames import Frame

_ALIGNMENT: Final = 8
_PADDING: Final = tuple(bytes(-length % _ALIGNMENT) for length in range(_ALIGNMENT))
"""By length modulo the alignment."""

_END: Final = b"\xff\xff\xff\xff\0\0\0\0"
_KEPT_SCHEMAS: Final = 16
"""The parts of one mass quote and its entry in the journal differ in their rows alone."""

_KEPT_HEADS: Final = 4_096
"""A head is about a kilobyte; mass quotes come in any number of rows up to a thousand."""


def schema_of(frame: type[Frame]) -> pa.Schema:
    """The Arrow schema of a frame's columns, in declared order; nothing is nullable."""
    return pa.schema(
        [pa.field(name, pa.from_numpy_dtype(dtype), nullable=False) for name, dtype in frame.dtypes.items()]
    )


def write_stream(frame: Frame, key: bytes, value: bytes) -> bytes:
    """One frame as a stream of one batch.

    Args:
        frame: Its columns are contiguous, little-endian and without nulls by construction.
        key: Name of the one metadatum of the stream's schema, which is `schema_of` its type else.
        value: What stands under that name.
    """
    kind: Any = type(frame)  # a type can be hashed; its instances cannot, from which mypy takes it that neither can
    parts: list[Any] = [_schema_head(kind, key, value), _batch_head(kind, len(frame))]
    for values in frame.columns().values():
        parts += (values.data, _PADDING[values.nbytes % _ALIGNMENT])
    parts.append(_END)
    return b"".join(parts)


def prepare(kind: Any, most_rows: int) -> None:  # noqa: ANN401  # a type of frame: see `write_stream`
    """Take the heads of all batches up to a number of rows now, rather than each when it is first needed."""
    for rows in range(1, min(most_rows, _KEPT_HEADS // 2) + 1):
        _batch_head(kind, rows)


_schema_of: Final = functools.cache(schema_of)


@functools.lru_cache(maxsize=_KEPT_SCHEMAS)
def _schema_head(kind: Any, key: bytes, value: bytes) -> bytes:  # noqa: ANN401  # see `write_stream`
    """What the stock writer puts before all batches."""
    head: bytes = _schema_of(kind).with_metadata({key: value}).serialize().to_pybytes()
    return head


@functools.lru_cache(maxsize=_KEPT_HEADS)
def _batch_head(frame: type[Frame], rows: int) -> bytes:
    """What the stock writer puts before the columns of a batch of that many rows."""
    columns = [pa.array(np.zeros(rows, dtype)) for dtype in frame.dtypes.values()]
    whole: bytes = pa.RecordBatch.from_arrays(columns, schema=schema_of(frame)).serialize().to_pybytes()
    body = sum(-(-rows * dtype.itemsize // _ALIGNMENT) * _ALIGNMENT for dtype in frame.dtypes.values())
    return whole[: len(whole) - body]

"""Snapshots of stages: a dictionary of scalars, lists, dictionaries and arrays to bytes and back, bit for bit."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from domain.errors import DataError

_ARRAY: Final = 1
_KINDS: Final = "biufcSUmM"


def _enc_hook(value: object) -> object:
    if isinstance(value, np.ndarray) and value.dtype.kind in _KINDS:
        head = msgspec.msgpack.encode((value.dtype.str, value.shape))
        return msgspec.msgpack.Ext(_ARRAY, len(head).to_bytes(2, "little") + head + value.tobytes())
    if isinstance(value, np.generic):
        return value.item()
    message = f"a snapshot cannot hold {type(value).__name__}"
    raise TypeError(message)


def _ext_hook(code: int, data: memoryview) -> object:
    if code != _ARRAY:
        message = f"unknown extension {code}"
        raise ValueError(message)
    size = int.from_bytes(data[:2], "little")
    dtype, shape = msgspec.msgpack.decode(data[2 : 2 + size], type=tuple[str, tuple[int, ...]])
    return np.frombuffer(bytearray(data[2 + size :]), dtype=np.dtype(dtype)).reshape(shape)


_encoder = msgspec.msgpack.Encoder(enc_hook=_enc_hook)
_decoder = msgspec.msgpack.Decoder(ext_hook=_ext_hook)


def pack(kind: str, version: int, state: dict[str, Any]) -> bytes:
    """A snapshot of `state`. Structs become dictionaries and tuples lists: `unpack` gives plain values back."""
    return _encoder.encode((kind, version, state))


def unpack(kind: str, version: int, data: bytes) -> dict[str, Any]:
    """The state that `pack` took; arrays are writable copies.

    Raises:
        DataError: Damaged, or the snapshot of another kind or version.
    """
    try:
        found, found_version, state = _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise DataError("snapshot cannot be read", kind=kind, error=str(error)) from error
    if (found, found_version) != (kind, version) or not isinstance(state, dict):
        raise DataError("snapshot is of another kind", expected=(kind, version), found=(found, found_version))
    return state

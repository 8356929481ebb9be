"""Write a golden sample of every schema version that has none yet. Samples that exist are never changed."""

from __future__ import annotations

import datetime as dt
import types
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import numpy as np

from domain.codec import SCHEMAS, encode
from domain.frames import Frame
from domain.instrument import OptionContract, parse_osi
from domain.price import NICKEL_DIME, TickClass

FOLDER = Path(__file__).parents[1] / "tests" / "golden" / "events"


def sample(kind: Any, name: str) -> Any:  # noqa: ANN401, PLR0911  # one value for each of the few field types
    """A plain value of a field's type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return arguments[-1]
    if origin is tuple:
        return (sample(arguments[0], name), sample(arguments[0], name))
    if origin is dict:
        return {"key": sample(arguments[1], name)}
    if origin is types.UnionType:
        return sample(arguments[0], name)
    simple = {int: 1_450_967_400, str: f"sample {name}", bool: True, float: 750.125, dt.date: dt.date(2015, 12, 24)}
    if kind in simple:
        return simple[kind]
    if kind is OptionContract:
        return parse_osi("GOOG  151224C00750000")
    if kind is TickClass:
        return NICKEL_DIME
    if issubclass(kind, Enum):
        return list(kind)[-1]
    if issubclass(kind, Frame):
        return kind(**{column: np.arange(1, 4).astype(dtype) for column, dtype in kind.dtypes.items()})
    return kind(**{field.name: sample(field.type, field.name) for field in msgspec.structs.fields(kind)})


def main() -> None:
    """Fill the gaps."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, schema in SCHEMAS.items():
        path = FOLDER / f"{name}.v{schema.version}"
        if not path.exists():
            path.write_bytes(encode(sample(schema.event, name)).payload)


if __name__ == "__main__":
    main()

"""Tables of a run as they grow: one append-only list per column, an Arrow table at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from domain.errors import InputError

TS: Final = pa.timestamp("ns", tz="UTC")
TEXT: Final = pa.string()
FLOAT: Final = pa.float64()
INT: Final = pa.int64()
INDEX: Final = pa.int32()
FLAG: Final = pa.bool_()

ABOUT: Final = b"axiom.about"


class Rows:
    """One table.

    Args:
        about: What a row is; rides in the metadata of the schema.
        columns: Name to Arrow type, in order.
    """

    def __init__(self, about: str, columns: Mapping[str, pa.DataType]) -> None:
        self.schema = pa.schema(list(columns.items()), metadata={ABOUT: about.encode()})
        self._lists: list[list[Any]] = [[] for _ in columns]
        self._names = list(columns)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._lists[0])

    def add(self, *values: object) -> None:
        """Append one row.

        Raises:
            InputError: As many values as columns are needed.
        """
        if len(values) != len(self._lists):
            raise InputError("a row has one value per column", field="values", value=len(values), table=self._names)
        for column, value in zip(self._lists, values, strict=True):
            column.append(value)

    def extend(self, length: int, **columns: object) -> None:
        """Append `length` rows from columns; a value that is no array or list is repeated.

        Raises:
            InputError: A column is missing, unknown or of another length.
        """
        if set(columns) != set(self._names):
            odd = sorted(set(columns) ^ set(self._names))
            raise InputError("columns differ from the table's", field="columns", value=odd)
        found = {name: _listed(values, length) for name, values in columns.items()}
        for name, values in found.items():
            if len(values) != length:
                raise InputError("column length differs", field=name, value=len(values), expected=length)
        for name, column in zip(self._names, self._lists, strict=True):
            column.extend(found[name])

    def column(self, name: str) -> list[Any]:
        """The values of one column so far."""
        return self._lists[self._names.index(name)]

    def last(self) -> dict[str, Any] | None:
        """The last row, or None."""
        return {name: column[-1] for name, column in zip(self._names, self._lists, strict=True)} if len(self) else None

    def records(self) -> list[dict[str, Any]]:
        """All rows as dictionaries, for small tables."""
        return [dict(zip(self._names, row, strict=True)) for row in zip(*self._lists, strict=True)]

    def table(self) -> pa.Table:
        """The Arrow table. NaN stays NaN; None becomes null."""
        arrays = [pa.array(column, type=field.type) for column, field in zip(self._lists, self.schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self.schema)


def _listed(values: object, length: int) -> list[Any]:
    if isinstance(values, np.ndarray):
        return list(values.tolist())
    return values if isinstance(values, list) else [values] * length

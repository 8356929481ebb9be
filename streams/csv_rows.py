"""CSV text to columns, at the speed of Arrow, with every row that is not what it should be named and left out.

Sans I/O: bytes in, columns out.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

Column = npt.NDArray[Any]

EXAMPLE_WIDTH: Final = 120
"""Characters of a refused line that its report shows."""

WRONG_COUNT: Final = "wrong column count"
NOT_A_NUMBER: Final = "not a number"
EMPTY_FIELD: Final = "empty field"

_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_DECIMAL: Final = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")

INTEGER: Final = pa.int64()
DECIMAL: Final = pa.float64()
TEXT: Final = pa.dictionary(pa.int32(), pa.string())
_PATTERNS: Final = {INTEGER: _INTEGER, DECIMAL: _DECIMAL}


class BadRow(NamedTuple):
    """A line that could not be read."""

    line: int
    reason: str
    text: str


class Rows(NamedTuple):
    """The lines that could be read.

    Attributes:
        columns: Named columns of equal length; an optional field that was empty is 0, text a code into `labels`.
        labels: Distinct values of each text column, in order of appearance.
        line: Position of each row's line in the text, ascending from 0.
        bad: The lines that could not, ascending.
    """

    columns: dict[str, Column]
    labels: dict[str, list[str]]
    line: npt.NDArray[np.int64]
    bad: list[BadRow]


def count_lines(text: bytes) -> int:
    """Count lines; the last one needs no newline."""
    return text.count(b"\n") + (1 if text and not text.endswith(b"\n") else 0)


def line_at(text: bytes, line: int) -> str:
    """Return one line as text that can be shown, shortened where it is long."""
    begin = 0
    for _ in range(line):
        begin = text.find(b"\n", begin) + 1
    end = text.find(b"\n", begin)
    return _shown(text[begin : end if end >= 0 else len(text)])


def parse(
    text: bytes,
    names: Sequence[str],
    types: Mapping[str, pa.DataType],
    optional: Iterable[str] = (),
) -> Rows:
    """Read lines of CSV without a header.

    Args:
        text: Lines, separated by newlines. Empty ones are skipped.
        names: Every column of a line, in order.
        types: The wanted columns: `INTEGER`, `DECIMAL` or `TEXT`.
        optional: Wanted columns whose field may be empty.

    Returns:
        The rows, and the lines that have another number of fields, a field that is not of its type or out of range, or
        an empty field that is not optional. No exception, whatever the bytes.
    """
    may_be_empty = frozenset(optional)
    if not text:
        return _parse_each(text, names, types, may_be_empty)
    try:
        table = _read(text, names, types)
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        table = None
    if table is None or table.num_rows != count_lines(text):
        return _parse_each(text, names, types, may_be_empty)
    if any(table[name].null_count for name in types if name not in may_be_empty):
        return _parse_each(text, names, types, may_be_empty)
    columns: dict[str, Column] = {}
    labels: dict[str, list[str]] = {}
    for name, kind in types.items():
        values: Any = table[name]  # the stubs know no fill value but a null, and no dictionary
        if kind == TEXT:
            coded = values.unify_dictionaries().combine_chunks()
            columns[name] = coded.indices.to_numpy().astype(np.int64)
            labels[name] = coded.dictionary.to_pylist()
        else:
            columns[name] = values.fill_null(0).to_numpy()
    return Rows(columns, labels, np.arange(table.num_rows, dtype=np.int64), [])


def _read(text: bytes, names: Sequence[str], types: Mapping[str, pa.DataType]) -> pa.Table:
    return pacsv.read_csv(
        pa.BufferReader(text),  # type: ignore[arg-type]  # the stubs know no native file
        # The block holds the whole text: rows keep their order and no thread is needed.
        read_options=pacsv.ReadOptions(column_names=list(names), use_threads=False, block_size=len(text) + 1),
        convert_options=pacsv.ConvertOptions(
            column_types=dict(types), include_columns=list(types), null_values=[""], strings_can_be_null=True
        ),
    )


def _parse_each(
    text: bytes, names: Sequence[str], types: Mapping[str, pa.DataType], may_be_empty: frozenset[str]
) -> Rows:
    """Judge line by line. Slow: only for text that holds a bad line."""
    wanted = [(names.index(name), name, _PATTERNS.get(kind)) for name, kind in types.items()]
    good: list[list[str]] = []
    line_of: list[int] = []
    bad: list[BadRow] = []
    for number, raw in enumerate(text.split(b"\n")):
        line = raw.removesuffix(b"\r")
        if not line.strip():
            continue
        fields, reason = _fields(line, len(names))
        if reason is None:
            reason = _first_fault(fields, wanted, may_be_empty)
        if reason is None:
            good.append(fields)
            line_of.append(number)
        else:
            bad.append(BadRow(number, reason, _shown(line)))
    columns: dict[str, Column] = {}
    labels: dict[str, list[str]] = {}
    for position, name, _ in wanted:
        values = [fields[position] for fields in good]
        if types[name] == TEXT:
            code = {value: at for at, value in enumerate(dict.fromkeys(values))}
            columns[name], labels[name] = np.array([code[value] for value in values], np.int64), list(code)
        else:
            dtype = np.int64 if types[name] == INTEGER else np.float64
            columns[name] = np.array([value or "0" for value in values], dtype=str).astype(dtype)
    return Rows(columns, labels, np.array(line_of, dtype=np.int64), bad)


def _fields(line: bytes, expected: int) -> tuple[list[str], str | None]:
    try:
        decoded = line.decode("ascii")
        fields = next(csv.reader([decoded], strict=True)) if '"' in decoded else decoded.split(",")
    except (UnicodeDecodeError, csv.Error, StopIteration):
        return [], "not plain text"
    return fields, None if len(fields) == expected else WRONG_COUNT


def _first_fault(
    fields: list[str], wanted: list[tuple[int, str, re.Pattern[str] | None]], may_be_empty: frozenset[str]
) -> str | None:
    for position, name, pattern in wanted:
        value = fields[position]
        if not value:
            if name not in may_be_empty:
                return EMPTY_FIELD
        elif (pattern is not None and pattern.fullmatch(value) is None) or (
            pattern is _INTEGER and not -(2**63) <= int(value) < 2**63
        ):
            return NOT_A_NUMBER
    return None


def _shown(line: bytes) -> str:
    text = line.decode("ascii", "backslashreplace")
    return text if len(text) <= EXAMPLE_WIDTH else text[: EXAMPLE_WIDTH - 1] + "…"

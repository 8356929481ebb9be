"""Laws of the CSV columns: the fast and the slow way agree, and any bytes give rows or named bad lines."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import csv_rows
from streams.csv_rows import DECIMAL, INTEGER, TEXT

NAMES = ("a", "b", "c", "d")
TYPES: dict[str, pa.DataType] = {"a": INTEGER, "c": DECIMAL, "d": TEXT}

FIELDS = st.tuples(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.sampled_from(["", "x", "7"]),
    st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: f"{value:.4f}") | st.just(""),
    st.sampled_from(["AB", "CD", "EF"]),
)


@given(rows=st.lists(FIELDS, min_size=1, max_size=20), ending=st.sampled_from(["\n", "\r\n"]), bad=st.integers(0, 19))
def test_a_bad_line_leaves_the_others_as_they_are(rows: list[tuple[str, ...]], ending: str, bad: int) -> None:
    lines = [",".join(row) for row in rows]
    whole = csv_rows.parse(ending.join(lines).encode(), NAMES, TYPES, optional=("c",))
    assert whole.bad == []
    at = bad % (len(lines) + 1)
    broken = csv_rows.parse(ending.join([*lines[:at], "1,2", *lines[at:]]).encode(), NAMES, TYPES, optional=("c",))
    assert [(row.line, row.reason, row.text) for row in broken.bad] == [(at, csv_rows.WRONG_COUNT, "1,2")]
    assert broken.line.tolist() == [n for n in range(len(lines) + 1) if n != at]
    for name in TYPES:
        ours, theirs = whole.columns[name], broken.columns[name]
        if name == "d":
            ours, theirs = np.array(whole.labels[name])[ours], np.array(broken.labels[name])[theirs]
        assert np.array_equal(ours, theirs)


@pytest.mark.fuzz
@given(text=st.binary(max_size=200) | st.text('0123456789,.-"\n\r ', max_size=200).map(str.encode))
def test_any_bytes_give_rows_or_bad_lines(text: bytes) -> None:
    rows = csv_rows.parse(text, NAMES, TYPES)
    lengths = {len(column) for column in rows.columns.values()} | {len(rows.line)}
    assert len(lengths) == 1
    seen = sorted([*rows.line.tolist(), *(row.line for row in rows.bad)])
    assert len(set(seen)) == len(seen)
    kept = [n for n, line in enumerate(text.split(b"\n")) if line.strip()]
    assert seen == kept


def test_a_line_can_be_shown() -> None:
    text = b"first\nsecond\n" + b"x" * 500
    assert csv_rows.line_at(text, 1) == "second"
    assert len(csv_rows.line_at(text, 2)) == csv_rows.EXAMPLE_WIDTH
    assert csv_rows.count_lines(text) == 3
    assert csv_rows.count_lines(b"") == 0

"""Laws of conflation: the last quote wins, prints add up, and putting rows aside changes neither."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from streams.conflation import WIDTH, Scratch, bars_of_trades, last_quotes

ROW = st.tuples(st.integers(0, 5), st.integers(0, 3), *[st.integers(1, 50)] * 4)
ROWS = st.lists(ROW, max_size=60)


def matrix(rows: list[tuple[int, ...]]) -> npt.NDArray[np.int64]:
    return np.array(rows, dtype=np.int64).reshape(len(rows), WIDTH)


@given(rows=ROWS)
def test_the_last_quote_of_each_window_and_contract_stays(rows: list[tuple[int, ...]]) -> None:
    expected = {row[:2]: row for row in rows}
    assert [tuple(row) for row in last_quotes(matrix(rows)).tolist()] == [expected[key] for key in sorted(expected)]


@given(rows=ROWS)
def test_prints_become_bars(rows: list[tuple[int, ...]]) -> None:
    expected = []
    for key in sorted({row[:2] for row in rows}):
        mine = [row for row in rows if row[:2] == key]
        low, high = min(row[3] for row in mine), max(row[4] for row in mine)
        expected.append((*key, mine[-1][2], low, high, sum(row[5] for row in mine)))
    assert [tuple(row) for row in bars_of_trades(matrix(rows)).tolist()] == expected


@given(rows=ROWS, cuts=st.lists(st.integers(0, 60), max_size=4).map(sorted))
def test_rows_come_back_by_minute_in_the_order_in_which_they_were_put(
    rows: list[tuple[int, ...]], cuts: list[int]
) -> None:
    scratch = Scratch(io.BytesIO())
    for begin, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        part = matrix(rows[begin:end])
        scratch.put(part[:, 0] // 2, part)
    for minute in range(4):
        assert [tuple(row) for row in scratch.get(minute).tolist()] == [row for row in rows if row[0] // 2 == minute]


@given(rows=ROWS, cut=st.integers(0, 60))
def test_conflating_parts_first_changes_nothing(rows: list[tuple[int, ...]], cut: int) -> None:
    for conflate in (last_quotes, bars_of_trades):
        parts = np.concatenate([conflate(matrix(rows[:cut])), conflate(matrix(rows[cut:]))])
        assert np.array_equal(conflate(parts), conflate(matrix(rows)))

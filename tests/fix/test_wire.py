"""The scan of a message: every field found, every group counted, everything else refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from fix.messages import MsgType
from fix.tags import Tag
from fix.wire import SOH, Writer, as_text, msg_type_of, read, scan
from tests.fix.dialect import ORDER, only, whole


@given(st.lists(st.tuples(st.integers(1, 9_999), st.text(min_size=1).filter(lambda text: SOH not in text)), min_size=1))
def test_scan_finds_every_field(fields: list[tuple[int, str]]) -> None:
    fields = [(tag, value) for tag, value in fields if tag != Tag.ENCODED_TEXT] or [(1, "x")]
    assert scan("".join(f"{tag}={value}{SOH}" for tag, value in fields)) == fields


@pytest.mark.parametrize("raw", ["", "1=a", "1", SOH, f"1={SOH}", f"=a{SOH}", f"01=a{SOH}", f"-1=a{SOH}", f"x=a{SOH}",
                                 f"1234567890=a{SOH}", f"1=a{SOH}{SOH}", f"²=a{SOH}", f"1=a{SOH}2"])  # fmt: skip
def test_what_is_no_field_is_refused(raw: str) -> None:
    with pytest.raises(DataError):
        scan(raw)


@given(st.text(min_size=1, max_size=20))
def test_data_may_hold_the_end_mark(text: str) -> None:
    raw = f"354={len(text.encode('utf-8', 'surrogateescape'))}{SOH}355={text}{SOH}1=a{SOH}"
    assert scan(raw)[1:] == [(355, text), (1, "a")]


@pytest.mark.parametrize("length", ["1", "3", "99", "x"])
def test_data_of_another_length_is_refused(length: str) -> None:
    with pytest.raises(DataError):
        scan(f"354={length}{SOH}355=ab{SOH}1=a{SOH}")


def test_the_type_is_the_third_field() -> None:
    assert msg_type_of(whole(only(ORDER))) == "D"
    for raw in ("", f"8=FIX.4.4{SOH}35=D{SOH}9=5{SOH}", "35=D"):
        with pytest.raises(DataError):
            msg_type_of(raw)


def test_header_fields_that_the_dialect_does_not_name_are_left_alone() -> None:
    raw = whole(only(ORDER)).replace(f"{SOH}56=", f"{SOH}115=FIRM{SOH}56=")
    assert read(raw).text(Tag.CL_ORD_ID) == ORDER.clordid


def test_a_writer_sorts_and_leaves_out_what_is_empty() -> None:
    writer = Writer()
    writer.put(Tag.SIDE, "1")
    writer.put(Tag.ACCOUNT, "A")
    writer.put(Tag.TEXT, "")
    writer.put_group(Tag.NO_PARTY_IDS, [])
    body = writer.body(MsgType.NEW_ORDER_SINGLE, is_possible_resend=True)
    assert body == ("D", f"1=A{SOH}54=1{SOH}".encode(), True)


def test_bytes_that_are_no_text_never_crash() -> None:
    assert scan(as_text(b"58=\xff\xfe\x01")) == [(58, "\udcff\udcfe")]
    with pytest.raises(DataError):
        as_text(5)  # type: ignore[arg-type]

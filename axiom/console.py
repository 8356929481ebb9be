"""What commands print: text for people or one JSON object on standard output, errors on standard error."""

from __future__ import annotations

import sys
from typing import Any

import orjson

from domain.errors import AxiomError


def print_json(value: dict[str, Any]) -> None:
    """One object on one line, the last of standard output."""
    sys.stdout.write(orjson.dumps(value, default=str, option=orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")


def say(text: str = "") -> None:
    """One line for a person."""
    sys.stdout.write(text + "\n")


def report_error(error: AxiomError) -> None:
    """One line on standard error."""
    sys.stderr.write(f"axiom: {error}\n")

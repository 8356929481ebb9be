"""Generate docs/events.md, docs/asyncapi.json and the tables of docs/fix.md; with --check, fail if one is stale."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from axiom import docs_asyncapi
from axiom.docs_fix import tables
from domain.codec import SCHEMAS
from domain.events_base import Event
from domain.topics import CONTROL, TOPICS

TARGET: Final = Path(__file__).parents[1] / "docs" / "events.md"
FIX_TARGET: Final = TARGET.with_name("fix.md")
ASYNCAPI_TARGET: Final = TARGET.with_name("asyncapi.json")
_BEGIN, _END = "<!-- begin tables -->", "<!-- end tables -->"
_HOUR_MS: Final = 3_600_000


def render() -> str:
    """The page."""
    lines = [
        "# Topics and events",
        "",
        "Generated from `domain/topics.py` and `domain/codec.py` by `python -m axiom.docs`; do not edit.",
        "",
        "The key of every message is the underlying. Small events are JSON; those with a frame are Arrow IPC",
        "streams whose schema metadata hold the scalar fields as JSON under `axiom.header`. Prices are integer units",
        "of 1/10,000 dollar, 0 with size 0 is an absent side, times are nanoseconds since the epoch, UTC. `contract`",
        "is the index in the latest `ChainListed` of the underlying; -1 is the underlying itself.",
        "",
        "| topic | about | retention | compacted |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{t.name}` | {t.about} | {t.retention_ms // _HOUR_MS} h | {'yes' if t.is_compacted else 'no'} |"
        for t in TOPICS
    ]
    for topic in TOPICS:
        lines += ["", f"## {topic.name}", "", f"{topic.about}."]
        for kind in topic.carries:
            lines += _event(kind)
    lines += ["", "## Owners of partitions", "", "On each topic through which a group of stages acts: decision 0004."]
    for kind in CONTROL:
        lines += _event(kind)
    return "\n".join(lines) + "\n"


def _event(kind: type[Event]) -> list[str]:
    schema = SCHEMAS[kind.__name__]
    about = " ".join((kind.__doc__ or "").split("\n\n", maxsplit=1)[0].split())
    fields = ", ".join(
        f"`{field.name}` {_type(field.type)}"
        for field in msgspec.structs.fields(kind)
        if field.name not in {"ts_event", "ts_init", "underlying", "frame"}
    )
    lines = ["", f"### {kind.__name__} v{schema.version}", "", about]
    if fields:
        lines += ["", f"Fields: {fields}."]
    if schema.frame is not None:
        columns = ", ".join(f"`{name}` {dtype.name}" for name, dtype in schema.frame.dtypes.items())
        lines += ["", f"Frame `{schema.frame.__name__}`: {columns}."]
    return lines


def _type(kind: Any) -> str:  # noqa: ANN401  # annotations are of any kind
    text = kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
    for noise in ("typing.", "domain.commands.", "domain.instrument.", "domain.price.", "domain.order_events."):
        text = text.replace(noise, "")
    return text.replace("|", "or")


def render_fix() -> str:
    """The page of the FIX dialect with its tables renewed; the words before them are written by hand."""
    before, _, rest = FIX_TARGET.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{tables()}\n{_END}{after}"


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    stale = 0
    pages = {TARGET: render(), FIX_TARGET: render_fix(), ASYNCAPI_TARGET: docs_asyncapi.render()}
    for target, page in pages.items():
        if target.exists() and target.read_text(encoding="utf-8") == page:
            continue
        if "--check" in arguments:
            sys.stderr.write(f"docs/{target.name} is out of date: run `make docs`\n")
            stale = 1
        else:
            target.write_text(page, encoding="utf-8")
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

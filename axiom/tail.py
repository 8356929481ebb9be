"""What a topic of a run carried, read from its journal while it grows."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import orjson

from axiom.runs import RunFolder
from domain.errors import InputError
from domain.events_base import Event
from domain.frames import Frame
from domain.topics import BY_NAME, TOPICS, Topic
from streams.journal import JournalReader, segments

_NAP_S: Final = 0.25


def topic_of(name: str) -> Topic:
    """A topic by its name, or by the end of it when that is unique.

    Raises:
        InputError: No topic, or more than one, has that name.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    found = [topic for topic in TOPICS if topic.name.endswith(f".{name}")]
    if len(found) != 1:
        raise InputError("unknown topic", field="topic", value=name, known=", ".join(BY_NAME))
    return found[0]


def follow(folder: RunFolder, topic: Topic, is_alive: Callable[[], bool]) -> Iterator[Event]:
    """Events of a topic in journal order; while `is_alive`, wait for more.

    Raises:
        InputError: The run has no journal yet and is not alive.
    """
    names = frozenset(kind.__name__ for kind in topic.carries)
    while not segments(folder.journal):
        if not is_alive():
            raise InputError("the run has no journal", field="run", value=folder.path.name)
        time.sleep(_NAP_S)
    reader = JournalReader(folder.journal)
    while True:
        was_alive = is_alive()
        for record in reader.more():
            if record.message.schema in names:
                yield record.event()
        if not was_alive:
            return
        time.sleep(_NAP_S)


def print_event(event: Event, rows: int) -> None:
    """One line of JSON; of a frame its length and first rows."""
    value: dict[str, Any] = {"event": type(event).__name__}
    for name in event.__struct_fields__:
        item = getattr(event, name)
        if isinstance(item, Frame):
            value["rows"] = len(item)
            value["frame"] = {column: values[:rows] for column, values in item.columns().items()}
        else:
            value[name] = msgspec.to_builtins(item)
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")
    sys.stdout.flush()

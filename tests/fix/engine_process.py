"""An engine in a process of its own, driven by lines of JSON: what sessions survive is only seen across processes.

    engine_process.py '{"role": ..., "session": {...}, "event_log": ..., "broken": [...]}'

Each line on standard input is a call, `["send", type, body]`; each on standard output is its answer, or something that
happened. It leaves when its standard input ends.
"""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import quickfix

from domain.errors import AxiomError
from fix.application import Engine, leave
from fix.callbacks import Callbacks, guarded
from fix.session import SessionSettings


def broken(names: list[str]) -> type[Callbacks]:
    """Callbacks of which the named ones raise, each after it did its work."""

    def raising(name: str) -> Callable[..., None]:
        inner = getattr(Callbacks, name)

        def call(self: Callbacks, *arguments: object) -> None:
            inner(self, *arguments)
            raise ZeroDivisionError(name)

        call.__name__ = name
        return guarded(call)

    return type("Broken", (Callbacks,), {name: raising(name) for name in names})


class Process:
    """The engine, and what it says."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._lock = threading.Lock()
        session = msgspec.convert(settings["session"], SessionSettings, dec_hook=lambda kind, value: kind(value))
        log = settings.get("event_log")
        Engine.callbacks = broken(settings.get("broken", []))
        self.name = session.name
        self.engine = Engine(
            settings["role"], [session], wake=self.report, event_log=Path(log) if log is not None else None
        )

    def say(self, line: list[Any]) -> None:
        with self._lock:
            print(json.dumps(line), flush=True)

    def report(self) -> None:
        for happened in self.engine.drain():
            fields = msgspec.to_builtins(happened)
            if "raw" in fields:
                fields["raw"] = base64.b64decode(fields["raw"]).decode()
            self.say(["happened", fields])

    def call(self, name: str, *arguments: Any) -> object:  # noqa: ANN401 - what came as JSON
        if name == "send":
            return self.engine.send(
                self.name, arguments[0], arguments[1].encode(), is_possible_resend="possible resend" in arguments
            )
        if name == "stop":
            return self.engine.stop(*arguments)
        if name == "store":
            # Past `Engine.send`: what a program does that does not ask whether the session is up.
            message = quickfix.Message(f"8=FIX.4.4\x019=0\x0135={arguments[0]}\x01{arguments[1]}10=000\x01", False)
            return quickfix.Session.sendToTarget(message, self.engine._ids[self.name])
        answer = getattr(self.engine, name)(self.name, *arguments)
        return msgspec.to_builtins(answer)


def main() -> None:
    try:
        process = Process(json.loads(sys.argv[1]))
        process.engine.start()
    except AxiomError as error:
        print(json.dumps(["refused", type(error).__name__, str(error)]), flush=True)
        leave(2)
    process.say(["ready"])
    for line in sys.stdin:
        try:
            process.say(["answer", process.call(*json.loads(line))])
        except AxiomError as error:
            process.say(["error", type(error).__name__, str(error)])
        process.report()
    leave(0)


if __name__ == "__main__":
    main()

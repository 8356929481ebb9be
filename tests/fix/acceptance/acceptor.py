"""The acceptor that the acceptance definitions are run against, a process of its own built on `fix.application`.

    acceptor.py BEGIN_STRING PEER PORT [--takes-possible-resends]

It echoes orders and security definitions, refuses everything else as unsupported, and drops an order that may have
been sent before (97=Y) if its ClOrdID was seen since the logon. It prints `ready` once it listens and stops when its
standard input ends. The echo is sent from within the wake-up: the definitions are about the order of answers.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fix.application import Engine, leave
from fix.session import Failure, LoggedOut, Received, SessionSettings

SOH = b"\x01"
ECHOED = frozenset("Dd")
# All header fields but 97, which is echoed.
HEADER = frozenset(
    b"8 9 35 34 43 49 50 52 56 57 90 91 115 116 122 128 129 142 143 144 145 212 213 347 369 627 628 629 630".split()
)


class Echo:
    """Answers on the engine's thread."""

    def __init__(self, settings: SessionSettings, *, drops_possible_resends: bool) -> None:
        self.engine = Engine("acceptor", [settings], wake=self.answer)
        self.failures: list[Failure] = []
        self._drops = drops_possible_resends
        self._seen: set[bytes] = set()

    def answer(self) -> None:
        for happened in self.engine.drain():
            if isinstance(happened, Received) and happened.msg_type in ECHOED:
                self._echo(happened)
            elif isinstance(happened, LoggedOut):
                self._seen.clear()
            elif isinstance(happened, Failure):
                self.failures.append(happened)

    def _echo(self, received: Received) -> None:
        pairs = [field.partition(b"=") for field in received.raw.split(SOH)[:-2]]
        if received.msg_type == "D":
            values = {tag: value for tag, _, value in pairs}
            clordid = values[b"11"]
            if self._drops and values.get(b"97") == b"Y" and clordid in self._seen:
                return
            self._seen.add(clordid)
        body = b"".join(tag + b"=" + value + SOH for tag, _, value in pairs if tag not in HEADER)
        self.engine.send(received.session, received.msg_type, body)


def main() -> None:
    begin_string, peer, port, *options = sys.argv[1:]
    echo = Echo(
        SessionSettings(
            begin_string="FIX.4.2" if begin_string == "FIX.4.2" else "FIX.4.4",
            sender="ISLD",
            target=peer,
            port=int(port),
            reset_on_logon=True,
            persist=True,
            resends_business=True,
            timestamp_digits=3,
            dictionary=Path(sys.prefix) / "share" / "quickfix" / f"{begin_string.replace('.', '')}.xml",
            accepts=ECHOED,
        ),
        drops_possible_resends="--takes-possible-resends" not in options,
    )
    echo.engine.start()
    print("ready", flush=True)
    sys.stdin.read()
    for failure in echo.failures:
        print(failure, file=sys.stderr)
    leave(1 if echo.failures else 0)


if __name__ == "__main__":
    main()

"""The commands: running (`run`, `resume`), acting on a run, and looking at one."""

from __future__ import annotations

import typer

from axiom.cli import bench, cache, feed, gateway, inspect, kafka, operate, prepare, run, tail, up, venue, worker

app = typer.Typer(
    name="axiom",
    help="An event-driven options market maker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
run.register(app)
operate.register(app)
inspect.register(app)
tail.register(app)
kafka.register(app)
venue.register(app)
gateway.register(app)
feed.register(app)
up.register(app)
cache.register(app)
prepare.register(app)
worker.register(app)
bench.register(app)

__all__ = ["app"]

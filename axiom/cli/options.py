"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunsRoot = Annotated[Path, typer.Option("--runs", help="Folder that holds the runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="End with one JSON object on standard output.")]
RunName = Annotated[str, typer.Argument(help="Name or path of a run; `last` is the newest.")]

"""What a machine has, and what each absence costs."""

from __future__ import annotations

import importlib
import os
import platform
import resource
import shutil
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pricing import backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked for. `is_needed`: without it the product does not work."""

    name: str
    is_present: bool
    detail: str
    cost: str
    is_needed: bool = False

    @property
    def is_ok(self) -> bool:
        """Present, or not needed."""
        return self.is_present or not self.is_needed

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def examine(runs: Path) -> list[Finding]:
    """Look at Python, kernels, compiler, headers, GPU, browser, disk."""
    return [
        _python(),
        _kernels(),
        _program("compiler", ("g++", "c++", "clang++"), "the native module cannot be rebuilt; a wheel still installs"),
        _headers(),
        _gpu(),
        _program(
            "browser", ("chromium", "chromium-browser", "google-chrome"), "the browser test of the report cannot run"
        ),
        _disk(runs),
        _cores(),
    ]


def _python() -> Finding:
    version = platform.python_version()
    good = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Finding(
        name="python",
        is_present=good,
        detail=f"{version} on {platform.machine()}",
        cost="needs 3.11 to 3.13",
        is_needed=True,
    )


def _kernels() -> Finding:
    try:
        importlib.import_module("pricing._native")
    except ImportError as error:
        return Finding(
            name="pricing kernels", is_present=False, detail=str(error), cost="nothing is priced", is_needed=True
        )
    found = backend.describe()
    detail = (
        f"{found.device}, {found.isa}, {found.lanes} contracts at a time; also {', '.join(found.supported_isas[1:])}"
    )
    return Finding(name="pricing kernels", is_present=True, detail=detail, cost="", is_needed=True)


def _program(name: str, candidates: tuple[str, ...], cost: str) -> Finding:
    path = next((found for candidate in candidates if (found := shutil.which(candidate))), None)
    return Finding(name=name, is_present=path is not None, detail=path or f"none of {', '.join(candidates)}", cost=cost)


def _headers() -> Finding:
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return Finding(
        name="Python headers",
        is_present=header.exists(),
        detail=str(header),
        cost="the native module cannot be rebuilt; a wheel still installs",
    )


def _gpu() -> Finding:
    present = Path("/proc/driver/nvidia/version").exists()
    return Finding(
        name="GPU",
        is_present=present,
        detail="an NVIDIA driver is loaded" if present else "no NVIDIA driver",
        cost="none: all pricing runs on the CPU kernels",
    )


def _disk(runs: Path) -> Finding:
    place = next(folder for folder in (runs.absolute(), *runs.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free / 1024**3
    return Finding(
        name="disk",
        is_present=free > 1.0 and os.access(place, os.W_OK),
        detail=f"{free:.0f} GiB free at {place}",
        cost="a day of one chain writes about 0.2 GiB of journal",
        is_needed=True,
    )


def _cores() -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    bound = "" if limit == resource.RLIM_INFINITY else f", address space limited to {limit / 1024**3:.1f} GiB"
    return Finding(
        name="cores and memory", is_present=True, detail=f"{os.cpu_count()} cores, {memory:.0f} GiB{bound}", cost=""
    )

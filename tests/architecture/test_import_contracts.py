"""The import contracts cover every package, and each of them can fail."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
LINTER: dict[str, Any] = PROJECT["tool"]["importlinter"]
CONTRACTS: dict[str, dict[str, Any]] = {contract["id"]: contract for contract in LINTER["contracts"]}
LAYERS = [name.strip() for line in CONTRACTS["layers"]["layers"] for name in line.split("|")]
CORE = ("domain", "pricing", "risk", "quoting", "hedging", "routing")
# What is run or read from the checkout and never imported by the product, and the distribution of its own.
OUTSIDE = {"benchmarks", "examples", "tests", "tools", "scripts", "docs", "deploy", "sdk", "build", "dist", "runs"}


class Plant(NamedTuple):
    """A forbidden import: its contract, the importing module and what it imports."""

    contract: str
    importer: str
    imported: str


PLANTS = [
    Plant("layers", "domain.planted", "pricing"),
    Plant("layers", "pricing.planted", "risk"),
    Plant("layers", "quoting.planted", "hedging"),
    Plant("layers", "hedging.planted", "routing"),
    Plant("layers", "routing.planted", "streams"),
    Plant("layers", "streams.planted", "axiom"),
    Plant("layers", "domain.planted", "store"),
    Plant("layers", "streams.planted", "fix"),
    *(Plant("pure-core", f"{package}.planted", "os") for package in CORE),
    *(Plant("pure-core", "risk.planted", library) for library in CONTRACTS["pure-core"]["forbidden_modules"]),
    *(Plant("doors", "axiom.planted", door.partition(":")[0]) for door in CONTRACTS["doors"]["doors"]),
    Plant("doors", "pricing.planted", "cupy"),
    Plant("offline", "research.planted", "fix.gateway"),
    Plant("offline", "streams.replay", "streams.kafka"),
    Plant("offline", "streams.replay", "socket"),
    Plant("sans-io", "streams.recorded", "pathlib"),
    Plant("sans-io", "streams.massive", "os"),
    Plant("sans-io", "streams.opra", "socket"),
    Plant("sans-io", "streams.iex", "asyncio"),
    Plant("sans-io", "fix.mapping", "logging"),
]


def names_of(layers: list[str]) -> set[str]:
    return {name.strip("()") for name in layers}


def product_packages() -> set[str]:
    folders = (path.name for path in CHECKOUT.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {name for name in folders if name not in OUTSIDE and any((CHECKOUT / name).rglob("*.py"))}


def make_tree(root: Path, plants: list[Plant]) -> None:
    """Write every layer as an empty package under the project's own contracts, then the planted imports."""
    packages = sorted(names_of(LAYERS))
    for package in packages:
        (root / package).mkdir()
        (root / package / "__init__.py").write_text("")
    for plant in plants:
        write_module(root, plant.importer, f"import {plant.imported}\n")
        if plant.imported.split(".")[0] in packages and "." in plant.imported:
            write_module(root, plant.imported, "")
    text = (CHECKOUT / "pyproject.toml").read_text()
    roots = ", ".join(f'"{name}"' for name in packages)
    head, _, tail = text.partition("root_packages = [")
    (root / "pyproject.toml").write_text(f"{head}root_packages = [{roots}]{tail.partition(']')[2]}")
    (root / "tools").mkdir()
    (root / "tools" / "import_contracts.py").write_text((CHECKOUT / "tools" / "import_contracts.py").read_text())


def write_module(root: Path, name: str, text: str) -> None:
    path = root.joinpath(*name.split(".")).with_suffix(".py")
    with path.open("a") as module:
        module.write(text)


def lint(root: Path, contract: str | None = None) -> tuple[int, str]:
    """Run import-linter on a tree, without the finder of the editable install: that one would find the checkout."""
    program = (
        "import sys\n"
        "sys.meta_path[:] = [finder for finder in sys.meta_path if 'ScikitBuild' not in type(finder).__name__]\n"
        "from importlinter.cli import lint_imports_command\n"
        "lint_imports_command()\n"
    )
    command = [sys.executable, "-c", program, "--no-cache", *(["--contract", contract] if contract else [])]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_there_are_the_five_contracts() -> None:
    assert list(CONTRACTS) == ["layers", "pure-core", "doors", "offline", "sans-io"]


def test_every_top_level_package_is_a_layer_and_is_linted_and_shipped() -> None:
    packages = product_packages()
    assert packages, "no package found: the test looks in the wrong place"
    assert packages <= names_of(LAYERS), "a new top-level package needs its place in the layers contract"
    assert packages == set(LINTER["root_packages"]), "import-linter must read every package and no other"
    assert packages == set(PROJECT["tool"]["scikit-build"]["wheel"]["packages"]), "the wheel ships every package"


def test_a_layer_that_exists_is_not_optional() -> None:
    assert [name for name in LAYERS if name.startswith("(") and name.strip("()") in product_packages()] == []


def test_every_core_package_is_under_the_purity_contract() -> None:
    assert set(CONTRACTS["pure-core"]["source_modules"]) == set(CORE)


def test_a_tree_without_forbidden_imports_keeps_every_contract(tmp_path: Path) -> None:
    make_tree(tmp_path, [Plant("none", "quoting.planted", "pricing"), Plant("none", "streams.kafka", "aiokafka")])
    code, output = lint(tmp_path)
    assert code == 0, output
    assert "5 kept, 0 broken" in output


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_reports_every_planted_import(contract: str, tmp_path: Path) -> None:
    plants = [plant for plant in PLANTS if plant.contract == contract]
    make_tree(tmp_path, plants)
    code, output = lint(tmp_path, contract)
    assert code == 1, output
    assert "0 kept, 1 broken" in output
    missed = [plant for plant in plants if f"{plant.importer} -> {plant.imported} (" not in output]
    assert missed == []


def test_a_misspelt_module_is_an_error(tmp_path: Path) -> None:
    make_tree(tmp_path, [])
    text = (tmp_path / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(
        text.replace('"(streams.recorded)", "(streams.massive)"', '"streams.recordde"')
    )
    code, output = lint(tmp_path, "sans-io")
    assert code != 0
    assert "streams.recordde" in output

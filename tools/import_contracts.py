"""Import contracts that import-linter does not ship; the contracts themselves are in `pyproject.toml`."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.domain.imports import ModuleExpression


class OptionalForbiddenContract(ForbiddenContract):
    """The forbidden contract, where a module in parentheses may not exist yet.

    The layers contract of import-linter already reads `(name)` so. A module without parentheses must exist: a
    misspelt name is an error, not a contract that holds of nothing.
    """

    type_name = "optional_forbidden"

    source_modules = fields.SetField(subfield=fields.StringField())
    forbidden_modules = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001
        """Drop the optional modules that the graph lacks, then check as the forbidden contract does."""
        for option in ("source_modules", "forbidden_modules"):
            present = {present_module(name, graph) for name in getattr(self, option)}
            setattr(self, option, {ModuleExpression(name) for name in present if name})
        return super().check(graph, verbose)


class DoorsContract(Contract):
    """One door per library: only the named modules import it directly.

    Configuration options:
        - doors: Lines `library: module, module`. A door need not exist yet.
    """

    type_name = "doors"

    doors = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002, FBT001
        """Find every direct import of a library by a module that is not one of its doors."""
        illegal: list[tuple[str, str, tuple[int, ...]]] = []
        for line in self.doors:  # type: ignore[attr-defined]
            library, allowed = parse_door(line)
            if library not in graph.modules:
                continue
            for importer in sorted(graph.find_modules_that_directly_import(library) - allowed):
                details = graph.get_import_details(importer=importer, imported=library)
                illegal.append((importer, library, tuple(detail["line_number"] for detail in details)))
        return ContractCheck(kept=not illegal, metadata={"illegal": illegal})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each import that goes round a door."""
        for importer, library, lines in check.metadata["illegal"]:
            places = ", ".join(f"l.{line}" for line in lines)
            output.print_error(f"- {importer} -> {library} ({places}): not a door of {library}", bold=False)
        output.new_line()


def present_module(name: str, graph: ImportGraph) -> str:
    """Return the module's name, or nothing for an optional module that the graph lacks."""
    if not (name.startswith("(") and name.endswith(")")):
        return name
    bare = name[1:-1]
    return bare if bare in graph.modules else ""


def parse_door(line: str) -> tuple[str, frozenset[str]]:
    """Split `library: module, module` into the library and its doors."""
    library, _, doors = line.partition(":")
    return library.strip(), frozenset(door.strip() for door in doors.split(",") if door.strip())

# `make` alone lists the targets. Everything happens in .venv inside the checkout; nothing is installed for the user or the system,
# except what `make system` installs with apt on Debian.

SHELL := /bin/bash
WORKERS ?= 2
BENCH ?= all
DEMO_ARGS ?=
BIN := .venv/bin
STAMP := .venv/.stamp
NATIVE := CMakeLists.txt $(shell find */native -type f \( -name '*.cpp' -o -name '*.hpp' -o -name '*.h' -o -name 'CMakeLists.txt' \) 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench fuzz system lock docs clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

$(STAMP): pyproject.toml requirements.lock $(NATIVE)
	@scripts/setup

setup: $(STAMP) ## make .venv with pinned versions and compile the native module

demo: setup ## run a synthetic session over FIX venues; print its summary and where the report is
	@AXIOM_SET_SYNTHETIC__SESSION_MINUTES=$${AXIOM_SET_SYNTHETIC__SESSION_MINUTES:-10} $(BIN)/axiom run --source synthetic --venues fix $(DEMO_ARGS)

test: setup ## run the tests
	@scripts/system browser || echo "test: without a browser the test of the report's page is skipped"
	@$(BIN)/pytest -n $(WORKERS)

check: setup ## everything CI checks: format, lint, types, contracts, documents, wheel, tests
	@scripts/check

bench: setup ## run the benchmarks (BENCH=name for one)
	@$(BIN)/axiom bench $(BENCH)

fuzz: setup ## try each property marked fuzz with thousands of new examples
	@HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest -n $(WORKERS) -m fuzz --timeout 3600

system: ## install what the machine lacks (Debian), or name it
	@scripts/system && echo "system: nothing is missing"

lock: setup ## write requirements.lock from .venv
	@{ sed -n '/^#/p' requirements.lock; $(BIN)/pip freeze --exclude-editable --all | grep -vE '^(pip|cmake|ninja)=='; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

docs: setup ## write the generated documents
	@$(BIN)/python -m axiom.docs

clean: ## remove .venv, build outputs and caches; runs/ is yours and stays
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

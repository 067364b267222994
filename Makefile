# Every target makes the environment first; `make env` does nothing when .venv is up to date.
PYTHON ?= python3
STAMP := .venv/s2s.stamp
BIN := .venv/bin
PROCESSES ?= 2

.PHONY: env demo test test-real lint bench

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,plots]'
	touch $@

demo: env
	$(BIN)/s2s demo

test: env
	$(BIN)/python -m pytest -n $(PROCESSES) -m 'not real'

test-real: env
	$(BIN)/python -m pytest -m real

lint: env
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: env
	$(BIN)/python benchmarks/run.py

# Every target makes the environment first; `make env` does nothing when .venv is up to date.
# Real text for test-real and bench: export S2S_DATA=FOLDER (data/catalogue.yaml tells where it is to be had).
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
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PROCESSES) -m 'not real'

test-real: env
	$(BIN)/python -m pytest -m real

lint: env
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: env
	$(BIN)/python benchmarks/embedded.py
	test -z "$$S2S_DATA" || for recipe in multi30k-en-de multi30k-de-en; do \
		$(BIN)/python benchmarks/multi30k.py $$recipe || exit 1; \
	done

# Every target creates the environment first; `make env` does nothing if .venv is up to date.
# Real text for test-real and bench: export S2S_DATA=FOLDER (data/catalogue.yaml lists where to get it).
PYTHON ?= python3
STAMP := .venv/s2s.stamp
BIN := .venv/bin
PROCESSES ?= 2

.PHONY: env demo test soak test-real lint bench bench-full bench-summary

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,plots]'
	touch $@

demo: env
	$(BIN)/s2s demo
	$(BIN)/s2s demo --task summarization

test: env
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal -m 'not real'

# Stress tests of the promises, for hours; resumed where stopped. A single one: .venv/bin/python -m soak NAME
# If atheris is not available for this machine, files are mutated without coverage feedback.
soak: env
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	OMP_NUM_THREADS=1 $(BIN)/python -m soak

test-real: env
	$(BIN)/python -m pytest -m real

lint: env
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Short measurements, at most 40 minutes once the models are trained (the first run trains one for a quarter of an hour).
bench: env
	$(BIN)/python benchmarks/limits.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/decoding.py
	$(BIN)/python benchmarks/translating.py
	$(BIN)/python benchmarks/threads.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/runtime.py
	$(BIN)/python benchmarks/validation.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/pointer.py
	$(BIN)/python benchmarks/curves.py
	$(BIN)/python benchmarks/peers/measure.py --again --what training --minutes 10
	$(MAKE) bench-summary

# Long ones: existing results in benchmarks/results and runs are not computed again.
bench-full: env
	$(BIN)/python benchmarks/memory.py full
	$(BIN)/python benchmarks/peers/measure.py --minutes 240
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/embedded.py
	$(BIN)/python benchmarks/cells.py
	for recipe in multi30k-en-de multi30k-de-en; do \
		test -d runs/$$recipe/bundle || $(BIN)/python benchmarks/multi30k.py $$recipe || exit 1; \
	done
	for recipe in multi30k-en-lm aeslc-lm; do \
		test -d runs/$$recipe/bundle || $(BIN)/python benchmarks/language_models.py $$recipe || exit 1; \
	done
	test -f benchmarks/results/waiting.json || $(BIN)/python benchmarks/waiting.py
	for corpus in nsmc ewt airline; do \
		test -f benchmarks/results/$$corpus.json || $(BIN)/python benchmarks/$$corpus.py || exit 1; \
	done
	test -f benchmarks/results/aeslc.json || { $(BIN)/python benchmarks/aeslc.py && $(BIN)/python benchmarks/aeslc.py ablations; }
	$(MAKE) bench-summary

bench-summary: env
	$(BIN)/python benchmarks/summary.py

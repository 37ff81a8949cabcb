# Two commands for a newcomer, each complete on its own: make run, make test.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: run test lint speed clean

# One clear line per run: every run gets a folder of its own, so none is ever overwritten.
run: .venv/installed
	$(BIN)/python -m benchmark run --algo macaw --out runs/$$(date +%Y%m%d-%H%M%S)

test: .venv/installed-tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

speed: .venv/installed-tests
	$(BIN)/python -m pytest -q tests/speed --benchmark-enable --benchmark-only
	$(BIN)/python -m tests.speed.table

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) --editable .
	touch $@

.venv/installed-tests: .venv/installed
	$(INSTALL) --editable '.[test,lint]'
	$(INSTALL) --no-deps d4rl gym gym-notices tqdm     # its loader needs no more; what else it declares needs MuJoCo 2.1
	touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache

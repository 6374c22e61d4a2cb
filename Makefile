# The two commands a newcomer needs are `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LITERT := .venv-litert
# The nets trained here are small: on a busy machine a second OpenMP thread costs ten times what it gains.
export OMP_NUM_THREADS ?= 1
# Most of the tests compile on one core; some wait for a board: one more than the two cores of a small machine.
TEST_WORKERS ?= 3

.PHONY: setup demo test lint bench bench-predict bench-morphnet bench-precision clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/.bench-ready: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'
	touch $@

demo: setup
	$(BIN)/hwaware demo

test: setup
	$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(LITERT)/.ready: benchmarks/litert.txt
	$(PYTHON) -m venv $(LITERT)
	$(LITERT)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/litert.txt
	touch $@

# Where LiteRT's converter cannot be installed, the comparison lists LiteRT with that reason.
bench: $(VENV)/.bench-ready
	-$(MAKE) --no-print-directory $(LITERT)/.ready
	$(BIN)/python -m benchmarks.peers

# For example `make bench-predict ARGS="--resume --families vgg8"`; `--help` lists the options.
bench-predict: setup
	$(BIN)/python -m benchmarks.predict $(ARGS)

# Hours, most of it training; the same command goes on. `ARGS="--parts budgets"` takes minutes.
bench-morphnet: setup
	$(BIN)/python -m benchmarks.morphnet $(ARGS)

# Hours, most of it training; the same command goes on. `ARGS="--parts speed bytes"` trains nothing.
bench-precision: $(VENV)/.bench-ready
	$(BIN)/python -m benchmarks.precision $(ARGS)

clean:
	rm -rf $(VENV) $(LITERT) build dist *.egg-info

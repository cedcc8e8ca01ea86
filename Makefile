# Each target makes the virtual environment that it needs; `make quickstart` is first.
PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
SERVING ?= .venv-serving
INSTALL := $(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable
METADATA := setup.cfg pyproject.toml $(CONSTRAINTS)

PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile
# Tests of the parts that most changes touch; they take less than a minute on two cores.
FAST := tests/test_house.py tests/data tests/model tests/fit/test_contrastive_stage.py \
	tests/training/test_loop.py tests/persistence/test_json.py tests/runtime \
	tests/test_datasets.py

.PHONY: quickstart test test-oldest test-fast test-slow test-export docs bench lint
.PHONY: format dist clean

quickstart: $(VENV)/.installed-minilm
	$(BIN)/python examples/quickstart.py

test: $(VENV)/.installed-test
	$(PYTEST) --durations=20 $(TESTS)

# Test with the oldest supported versions. TESTS limits the tests, also in `make test`.
test-oldest:
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=constraints-oldest.txt

test-fast: $(VENV)/.installed-test
	$(PYTEST) $(FAST)

test-slow: $(VENV)/.installed-slow
	$(BIN)/python -m pytest -m slow

# Run exported models with only numpy, onnxruntime and tokenizers installed.
test-export: $(VENV)/.installed-test $(SERVING)/.installed
	SERVING_PYTHON=$(abspath $(SERVING)/bin/python) \
		$(BIN)/python -m pytest tests/export/test_alone.py

docs: $(VENV)/.installed-docs
	HF_HUB_OFFLINE=1 $(BIN)/python -m sphinx -W --keep-going docs docs/_build/html

# Compare with other packages; it takes hours. DATA is a directory of data sets: see
# benchmarks/README.md.
bench: $(VENV)/.installed-bench
	@test -d "$(DATA)" || { echo "make bench DATA=directory of the data sets"; exit 1; }
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.peers --data $(DATA) --table

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Build the wheel and the sdist, and test the wheel in a new environment.
dist: $(VENV)/.installed-dev
	rm -rf dist build
	$(BIN)/python -m build
	$(BIN)/python tools/check_dist.py

clean:
	rm -rf $(VENV) $(SERVING) .venv-oldest docs/_build docs/api docs/auto_examples

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: $(METADATA) | $(BIN)/python
	$(INSTALL) '.[$*]'
	touch $@

$(SERVING)/.installed: constraints.txt
	$(PYTHON) -m venv $(SERVING)
	$(SERVING)/bin/python -m pip install --quiet --constraint constraints.txt \
		numpy onnxruntime tokenizers
	touch $@

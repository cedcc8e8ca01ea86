# Every target makes the virtual environment it needs; `make quickstart` is the first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable
METADATA := setup.cfg pyproject.toml constraints.txt

.PHONY: quickstart test test-slow docs bench lint format clean

quickstart: $(VENV)/.installed-minilm
	$(BIN)/python examples/quickstart.py

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

test-slow: $(VENV)/.installed-slow
	$(BIN)/python -m pytest -m slow

docs: $(VENV)/.installed-docs
	HF_HUB_OFFLINE=1 $(BIN)/python -m sphinx -W --keep-going docs docs/_build/html

# Beside the peers: hours. DATA is a directory of data sets, see benchmarks/README.md.
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

clean:
	rm -rf $(VENV) docs/_build docs/api docs/auto_examples

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-%: $(METADATA) | $(BIN)/python
	$(INSTALL) '.[$*]'
	touch $@

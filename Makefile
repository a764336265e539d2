.PHONY: test lint format types samples docs bench

PYTHON ?= python3.11
VENV := .venv-test

# Everything a change must pass: format, lint, types, tests, in a virtual environment of its own.
test: $(VENV)/ready
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -n 2

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .

format: $(VENV)/ready
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

types: $(VENV)/ready
	$(VENV)/bin/mypy

# Rebuilds the shipped samples; the result is the same bytes everywhere.
samples: $(VENV)/ready
	$(VENV)/bin/python sample_models/build.py

# Regenerates the pages that are made from code.
docs: $(VENV)/ready
	$(VENV)/bin/python -m tests.docs.generate

bench: $(VENV)/ready
	$(VENV)/bin/python -m benchmarks.run all --envs .bench-envs -o docs/benchmarks.md

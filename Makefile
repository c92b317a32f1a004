# Each target sets up what it needs in .venv; repeated, it costs nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHECKED := flowstream pipelines tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help setup test lint types demo bench clean

help:  ## this list
	@echo "make TARGET   [PYTHON=python3.x: any Python >= 3.10]"
	@sed -n 's/^\([a-z]*\):[^#]*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(VENV)/.dev  ## set up .venv with everything, tests and linters included

test: setup lint types  ## lint, types and tests; FLOWSTREAM_TEST_DATA=folder adds the tests on real data
	$(BIN)/python -m pytest

lint: setup  ## ruff: rules and format
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)

types: setup  ## mypy, strict
	$(BIN)/mypy

demo: $(VENV)/.all  ## the main job on a toy action set, into demo/; VIDEOS=class/video/tree: on your own
	$(BIN)/python pipelines/demo.py $(if $(VIDEOS),"$(VIDEOS)")

bench: setup  ## speed and end-point error against the peers, one table each
	$(BIN)/python benchmarks/tvl1.py
	$(BIN)/python benchmarks/store.py

clean:  ## remove .venv, demo/ and every cache
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up: a stamp a step, so that make demo does not wait for the linters -----------------------

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "flowstream needs Python >= 3.10; $(PYTHON) is older or missing. Try: make PYTHON=python3.12"; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/.all: $(VENV)/.python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/.all
	$(BIN)/python -m pip install --quiet --editable '.[all,dev]'
	@touch $@

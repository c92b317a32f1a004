# Each target installs what it needs into .venv; a repeated call installs nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CHECKED := flowstream pipelines tests benchmarks
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help setup test lint types demo bench faults docs pictures clean

help:  ## print this list
	@echo "make TARGET   [PYTHON=python3.x, any Python >= 3.10]"
	@sed -n 's/^\([a-z]*\):[^#]*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: $(VENV)/.dev  ## install everything into .venv, including tests and linters

# One torch thread per process: the threads of several test processes would wait for each other.
test: setup lint types  ## run lint, types and tests; FLOWSTREAM_TEST_DATA=directory adds the tests on real data
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

lint: setup  ## run ruff: rules and format
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)

types: setup  ## run mypy in strict mode
	$(BIN)/mypy

demo: $(VENV)/.all  ## run all stages on a toy action set, into demo/; VIDEOS=class/video/tree uses your videos
	$(BIN)/python pipelines/demo.py $(if $(VIDEOS),"$(VIDEOS)")

bench: setup  ## measure speed and end-point error against other tools, one table each
	$(BIN)/python benchmarks/tvl1.py
	$(BIN)/python benchmarks/store.py

faults: setup  ## inject faults (kills, full disks, damaged files) for at most 15 minutes; SEED=0
	$(BIN)/python -m benchmarks.faults --seed $(SEED)

pictures: setup  ## draw the pictures of the documentation again, into docs/images/
	$(BIN)/python benchmarks/pictures.py

docs: setup  ## build the documentation site into site/
	$(BIN)/mkdocs build --strict

clean:  ## remove .venv, demo/, site/ and all caches
	rm -rf $(VENV) demo site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- installation: one stamp per step, so that make demo does not install the linters ---------------

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "flowstream needs Python >= 3.10; $(PYTHON) is older or missing. Try: make PYTHON=python3.12"; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/.all: $(VENV)/.python setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	$(BIN)/python -m compileall -q flowstream  # commands start faster, where Python may not do this itself
	@touch $@

$(VENV)/.dev: $(VENV)/.all
	$(BIN)/python -m pip install --quiet --editable '.[all,dev,docs]'
	@touch $@

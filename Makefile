# Headroom's commands. `make` alone lists them. Two are all that a visitor needs: `make run` and `make test`.
#   PORT=8501      where the dashboard listens, on 127.0.0.1
#   LAKE=var/lake  a folder or an s3:// address
#   PYTHON=...     the interpreter that makes .venv (3.11 or later)

SHELL := /bin/bash
PORT ?= 8501
LAKE ?= var/lake
VENV := .venv
PY := $(VENV)/bin/python
# .venv holds what the locks say; these stamps are older than a lock that has changed.
READY := $(VENV)/ready
DEV_READY := $(VENV)/ready-dev
SOURCES := $(wildcard app data forecasting benchmarks scripts tests streamlit_app.py)
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

# Every process, of which tests and forecasts start many, would compile all libraries anew: 8 s a server.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run env dev test check lint types suite bench coverage mutants golden samples docs lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## Serve the dashboard; make a demo lake and a first refresh where there is none
	$(PY) -m scripts.serve --lake "$(LAKE)" --port "$(PORT)"

env: $(READY) ## Bring .venv to the lock of what runs
dev: $(DEV_READY) ## Bring .venv to the locks of what runs and what tests

$(READY): requirements.txt
	@scripts/env.sh $@ requirements.txt

$(DEV_READY): requirements.txt requirements-dev.txt
	@scripts/env.sh $@ requirements.txt requirements-dev.txt
	@touch $(READY)

check: lint types ## Lint, format and types; no tests

lint: $(DEV_READY)
	$(PY) -m ruff check $(SOURCES)
	$(PY) -m ruff format --check $(SOURCES)

types: $(DEV_READY)
	$(PY) -m mypy $(SOURCES)

# Types are checked on one core, beside the tests.
test: lint ## Everything: linters, types, all tests, browser tests included
	@$(MAKE) --no-print-directory --jobs 2 types suite

suite: $(DEV_READY)
	@scripts/browser.sh
	$(PY) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(TESTS)

coverage: $(DEV_READY) ## Run all tests and count the lines and branches that they reach; fails under 92 %
	@scripts/browser.sh
	$(PY) -m coverage erase
	$(PY) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --cov --cov-report term $(TESTS)

mutants: $(DEV_READY) ## Change planning, evaluation and the contract a little: do tests notice? SAMPLE=40 SEED=1
	nice -n 10 $(PY) -m scripts.mutants --sample $(or $(SAMPLE),40) --seed $(or $(SEED),1)

bench: $(DEV_READY) ## Measure, one JSON line for each figure
	$(PY) -m benchmarks

golden: $(DEV_READY) ## Rewrite the golden files that tests compare with; read the difference before you commit it
	HEADROOM_GOLDEN=write $(PY) -m pytest -m golden

samples: $(READY) ## Rewrite data/samples, one small Parquet snapshot of each table
	$(PY) -m data samples data/samples

docs: $(READY) ## Rewrite docs/data-dictionary.md from the contract
	@mkdir -p docs
	$(PY) -m data.schema.dictionary > docs/data-dictionary.md

lock: $(DEV_READY) ## Compile the locks from *.in; UPGRADE=1 takes newer versions
	$(LOCK) requirements.in --output-file requirements.txt
	$(LOCK) requirements-dev.in --output-file requirements-dev.txt

clean: ## Remove .venv and caches; var/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

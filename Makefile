# Each target does what is missing and no more, so any of them works on a fresh clone.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet
RUNS := $(VENV)/.requirements.installed
DEVELOPS := $(VENV)/.requirements-dev.installed
EMBEDDED := data/flasktrack.db
# Neighbours go to one worker, and so share an app, a browser, a database; who has no more takes from the other's end.
PYTEST_ARGS ?= -n 2 --dist worksteal

.PHONY: help setup run test lint types audit format example bench clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(RUNS)  ## make .venv and install what FlaskTrack runs on

run: $(RUNS) $(if $(FLASKTRACK_DATABASE_URL),,$(EMBEDDED))  ## start the app; a new database gets the sample lab
	$(PY) -m streamlit run app.py

# What tests and the programs that they start import is compiled once, whatever the environment says.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(DEVELOPS)  ## run every test; PYTEST_ARGS="tests/core -x" runs some
	$(PY) -m pytest $(PYTEST_ARGS)

lint: $(DEVELOPS)  ## check style and likely mistakes
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(DEVELOPS)  ## put the code into its form
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: $(DEVELOPS)  ## check types
	$(PY) -m mypy

audit: $(DEVELOPS)  ## look for mistakes in security, and for known vulnerabilities of what is installed
	$(PY) -m bandit --quiet --configfile pyproject.toml --recursive flasktrack pages app.py
	$(PY) .ci/audit.py || test $$? -eq 3  # 3: no service could be asked, and it says so

example: $(DEVELOPS)  ## start a laboratory's application whose activity the app shows
	$(PY) -m examples.lab

bench: $(DEVELOPS)  ## measure, and print the tables
	$(PY) -m benchmarks
	$(PY) -m benchmarks.insight

clean:  ## remove .venv and caches; data/ stays
	rm -rf $(VENV) .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Only the database of our own: one that FLASKTRACK_DATABASE_URL names is left as it is.
$(EMBEDDED): | $(RUNS)
	$(PY) -m flasktrack init
	$(PY) -m flasktrack demo
.PRECIOUS: $(EMBEDDED)  # make deletes no database, not even when it is interrupted; the app fills an empty one

# pip comes last into a new venv: where it is, the venv is whole.
$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'FlaskTrack needs Python 3.11 or later. Give it with: make PYTHON=python3.11 ...' >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || \
		{ echo 'Python could not make a virtual environment. On Debian: apt install python3-venv' >&2; exit 1; }

$(RUNS): requirements.txt | $(VENV)/bin/pip
	@echo 'Installing requirements.txt ...'
	@$(PIP) -r requirements.txt
	@touch $@

$(DEVELOPS): requirements-dev.txt requirements.txt | $(VENV)/bin/pip
	@echo 'Installing requirements-dev.txt ...'
	@$(PIP) -r requirements-dev.txt
	@touch $@

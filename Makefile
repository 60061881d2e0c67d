# Every target makes the virtual environment it needs: `make demo` or `make test` may come first.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROFILE ?= smoke
PIP_ARGS ?=
# The first interpreter that is new enough; say `make PYTHON=/path/to/python3.12 setup` for another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow browser coverage lint types wheel sdist extras-check docs clean experiment

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP)  ## make .venv and install everything by constraints.txt (PIP_ARGS=... is passed on to pip)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make setup PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_ARGS) -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(STAMP)  ## forecast one embedded patient with the packaged weights: NIfTI, PNG and an HTML page
	$(BIN)/python -m mechlearn.forecast +experiment=demo

# The two workers are the parallelism: threads of their own would only wait for one another.
test test-slow: export OMP_NUM_THREADS ?= 1

test: $(STAMP)  ## the fast tests
	$(BIN)/python -m pytest -n 2 -q -m "not slow"

test-slow: $(STAMP)  ## the slow tests: whole commands, training, sweeps
	$(BIN)/python -m pytest -n 2 -q -m slow

browser:  ## Chromium by apt, as root, for the tests of a forecast's page (elsewhere install it by hand)
	@which chromium chromium-browser google-chrome | grep . || \
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

coverage: export OMP_NUM_THREADS ?= 1
coverage: $(STAMP)  ## both tiers, and the share of the library's lines that they run, by package
	$(BIN)/python -m pytest -n 2 -q --cov --cov-report=term:skip-covered

lint: $(STAMP)  ## ruff
	$(BIN)/ruff check .

types: $(STAMP)  ## mypy
	$(BIN)/mypy

wheel: $(STAMP)  ## build dist/mechlearn-*.whl
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

sdist: $(STAMP)  ## build dist/mechlearn-*.tar.gz, and the wheel from it
	rm -rf dist
	$(BIN)/python -m hatchling build -t sdist
	tar -xzf dist/mechlearn-*.tar.gz -C dist && cd dist/mechlearn-*/ && \
	$(CURDIR)/$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir .. .

# Each extra alone in an environment of its own: what it promises to import is imported.
# make extras-check PYTHON=python3.13 EXTRAS="core report"
EXTRAS ?= core report template cohorts diffusion train bundle align dicom hub dashboard
extras-check: sdist  ## install the wheel with each extra alone, outside the checkout (EXTRAS="core report")
	@set -e; for extra in $(EXTRAS); do \
	  place=$$(mktemp -d); $(PYTHON) -m venv $$place/venv; \
	  wheel=$$(ls $(CURDIR)/dist/*.whl); test $$extra = core || wheel="$$wheel[$$extra]"; \
	  $$place/venv/bin/pip install -q $(PIP_ARGS) -c constraints.txt "$$wheel"; \
	  (cd $$place && venv/bin/python $(CURDIR)/tests/extra_alone.py $$extra); rm -rf $$place; done


docs: $(STAMP)  ## build the documentation site into outputs/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "open outputs/site/index.html"

experiment: $(STAMP)  ## make experiment NAME=... PROFILE=smoke|full: run it and compare with its expected.json
	@test -n "$(NAME)" || { echo "Which one? make experiment NAME=... PROFILE=smoke; there are:"; ls -d experiments/*/run.sh experiments/*/*/run.sh 2>/dev/null | sed -E 's|experiments/(.*)/run.sh|  \1|'; exit 1; }
	PATH="$(CURDIR)/$(BIN):$$PATH" bash experiments/$(NAME)/run.sh $(PROFILE)
	$(BIN)/python experiments/compare.py $(NAME) $(PROFILE)

clean:  ## remove what was built, keep .venv, outputs and multirun
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache
	find mechlearn tests experiments -name __pycache__ -type d -prune -exec rm -rf {} +

# Runs on Linux and macOS with GNU make 3.81 or newer. `make` alone lists what there is.

# The interpreter that makes .venv; `make install PYTHON=/path/to/python3.12` chooses another. The tested version first.
PYTHON ?=
CANDIDATES = $(if $(PYTHON),$(PYTHON),python3.11 python3.12 python3.13 python3 python)
SUPPORTED = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
VENV = .venv
BIN = $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install dev run test lint types docs notebooks format clean

help: ## List what there is.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

install: $(VENV)/.installed ## Make .venv and install the tested versions (again when they change).

dev: $(VENV)/.installed-dev ## The same, and what tests and checks need.

run: install ## Run the main job: the bundled arXiv titles, retrained every year.
	$(BIN)/modyn-bench run

test: dev ## Run the whole test suite, doctests included.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

lint: dev ## Check rules and format of the code.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev ## Check the types of the whole package.
	$(BIN)/mypy

docs: dev ## Check links, commands and code of README and docs.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/test_docs.py

notebooks: dev ## Execute the notebooks, changing none.
	OMP_NUM_THREADS=1 $(BIN)/python scripts/run_notebooks.py

format: dev ## Mend what can be mended, and format the code.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove caches and builds; keeps .venv and outputs.
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# A version manager may put commands on the path that do not run, and Debian splits ensurepip off, so each is tried.
$(BIN)/python:
	@found=; without=; \
	for python in $(CANDIDATES); do \
	  "$$python" -c '$(SUPPORTED)' >/dev/null 2>&1 || continue; \
	  if "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then found=$$python; break; fi; \
	  without="$$without $$python"; \
	done; \
	if [ -n "$$found" ]; then \
	  echo "Making $(VENV) with $$found ($$("$$found" --version))"; \
	  "$$found" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
	elif [ -n "$$without" ]; then \
	  echo "These are the right Python, but without ensurepip or venv, which make .venv:$$without" >&2; \
	  echo "On Debian and Ubuntu: sudo apt install python3-venv (or python3.12-venv for python3.12). Then try again." >&2; \
	  exit 1; \
	else \
	  echo "Python 3.11, 3.12 or 3.13 is needed, but none of these is one: $(CANDIDATES)" >&2; \
	  echo "Install one (apt install python3.12 python3.12-venv, brew install python@3.12, https://www.python.org)," >&2; \
	  echo "or name one: make install PYTHON=/path/to/python3.12" >&2; \
	  exit 1; \
	fi

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@$(BIN)/python -c '$(SUPPORTED)' || { echo "$(VENV) holds another Python than 3.11 to 3.13: remove it, then try again" >&2; exit 1; }
	@echo "Installing into $(VENV); the first time takes a few minutes"
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what tests and checks need into $(VENV)"
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

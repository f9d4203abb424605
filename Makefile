# Rialto. `make help` lists what there is; `make run` and `make test` need Python 3.11 or newer, git and make, nothing else.

VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
# The first that is new enough makes the virtual environment; before 3.14, if there is one, since the wheel of Valkey has no
# later build. `make PYTHON=... install` chooses another.
PYTHON  = $(shell for below in 14 99; do for python in python3 python3.13 python3.12 python3.11 python3.14; do \
            $$python -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, $$below))" 2>/dev/null \
              && echo $$python && exit; done; done)
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
            --no-header --no-annotate --no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help install run web test check fmt bench soak loadtest loadtest-ci lock clean

help:  ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed-dev  ## Make .venv with everything that running, testing and checking need

# Without a web app there still are the interfaces.
run: $(VENV)/.installed  ## Run the whole market: MongoDB, Valkey, two web instances, a worker, demo data (ARGS="--instances 3")
	@$(BIN)/python -m server.dev.site || true
	@exec $(BIN)/rialto dev $(ARGS)

web: $(VENV)/.installed  ## Build the web app, which the instances serve, if its sources have changed
	@$(BIN)/python -m server.dev.site

# A worker that crashes, as one does whose test hangs, is not replaced: pytest-xdist would wait for ever at the end.
test: $(VENV)/.installed-dev  ## Run the tests on real databases (ARGS="-k auction" chooses)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

check: $(VENV)/.installed-dev  ## Run the linter, the format check, the type checker and the import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.installed-dev  ## Format the code and fix what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.installed-dev  ## Measure Rialto, Node's Socket.IO and python-socketio side by side (ARGS="--only echo,fanout --rounds 1")
	@$(BIN)/python -m loadtest.bench $(ARGS)

soak: $(VENV)/.installed-dev  ## Run the failure tests at full size: instances and databases killed under load
	@$(BIN)/python -m pytest -m soak --timeout 3600 $(ARGS)

loadtest: $(VENV)/.installed-dev  ## Open Locust's page on loopback, with a market of its own to load (ARGS="--instances 3")
	@$(BIN)/python -m loadtest web $(ARGS)

loadtest-ci: $(VENV)/.installed-dev  ## Load a market for a minute and print p50, p95 and p99 of every command; fails on errors
	@$(BIN)/python -m loadtest ci $(ARGS)

lock: $(VENV)/.installed-dev  ## Pin the dependencies of pyproject.toml again (ARGS=--upgrade takes newer versions)
	@$(PIP) install uv
	echo 'setuptools>=80' | $(COMPILE) $(ARGS) --extra embedded pyproject.toml - --output-file requirements.lock
	$(COMPILE) $(ARGS) --extra embedded --extra dev --constraint requirements.lock pyproject.toml --output-file requirements-dev.lock

clean:  ## Remove .venv, caches, what Node.js was given and the data of `make run` (.rialto)
	rm -rf web/*/node_modules web/*/dist tests/js/node_modules
	rm -rf $(VENV) .rialto build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Made once, and again when the pinned dependencies change.
$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing what Rialto needs into $(VENV) (only the first time) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing what Rialto and its tests need into $(VENV) (only the first time) ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Rialto needs Python 3.11 or newer; there is none on PATH (found: $$(python3 --version 2>&1))." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# Tierline: every recipe sets up what it needs. `make help` lists them.
VENV := .venv
BIN  := $(VENV)/bin
MUTANTS := .venv-mutants
PYTHON ?= $(shell for p in /usr/bin/python3 python3; do $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PYTEST_WORKERS ?= 2
MONEY_PROPERTIES := $(addprefix tests/unit/domain/test_,proration_properties.py billing_record.py calendar.py discounts.py money.py scenario.py settlement.py)

.DEFAULT_GOAL := help
.PHONY: help setup check fix test test-long faults faults-long mutants demo up down bench lock clean

help: ## list the recipes
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 13

setup: $(VENV)/.ready ## make .venv from requirements.lock (hash-checked) and install Tierline in it

$(VENV)/.ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 with venv found. Install it, or call: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q tierline streams schemas projections deadletter
	@touch $@

check: setup ## lint, format, types, import rules; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fix: setup ## apply what the linter and formatter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup ## all tests, on real Kafka, registry and PostgreSQL
	$(BIN)/pytest --stack -n $(PYTEST_WORKERS) --dist worksteal $(ARGS)

test-long: setup ## the properties of the money core with 10,000 examples each: 26 minutes of CPU, ten times those of 1,000
	$(BIN)/pytest -q -n $(PYTEST_WORKERS) --dist worksteal --hypothesis-profile long --timeout 3600 -m hypothesis $(MONEY_PROPERTIES) $(ARGS)

faults: setup ## the fault tests alone; what came of them goes into the table of docs/reliability.md
	$(BIN)/pytest --stack -n $(PYTEST_WORKERS) --dist worksteal --fault-table benchmarks/faults.json tests/faults $(ARGS)
	$(BIN)/python -m tests.support.fault_table benchmarks/faults.json

faults-long: setup ## the faults many times over, printing seeds; how often is in docs/reliability.md
	$(BIN)/pytest --stack -n0 -s --rounds 200 tests/faults/test_killed_workers.py $(ARGS)
	$(BIN)/pytest --stack -n0 -s --rounds 20 tests/faults/test_rolling_restart.py tests/faults/test_frozen_workers.py $(ARGS)
	$(BIN)/pytest --stack -n0 -s --rounds 50 tests/faults/test_crash_points.py $(ARGS)
	$(BIN)/pytest --stack -n0 -s --rounds 20 tests/faults/test_built_anew.py -k snapshots $(ARGS)
	$(BIN)/pytest --stack -n0 -s --long --rounds 6 tests/faults/test_three_brokers.py $(ARGS)
	$(BIN)/pytest -n $(PYTEST_WORKERS) --hypothesis-profile long --timeout 3600 tests/faults/test_simulation.py $(ARGS)

# In an environment of its own: mutmut wants a newer click than the lock has.
mutants: $(MUTANTS)/.ready ## break the money core in 1,600 ways and see the tests fail; ten minutes alone on two cores
	$(MUTANTS)/bin/mutmut run --max-children $(PYTEST_WORKERS) $(ARGS)
	@$(MUTANTS)/bin/mutmut results

$(MUTANTS)/.ready: $(VENV)/.ready
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(MUTANTS)
	@$(BIN)/uv pip sync --quiet --python $(MUTANTS)/bin/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(MUTANTS)/bin/python mutmut==3.8.1
	@touch $@

demo: setup ## 2,000 orders through the whole pipeline, on this machine only
	@$(BIN)/tierline demo $(ARGS)

up: setup ## start the local stack and the workers, in the foreground
	@$(BIN)/tierline up $(ARGS)

down: setup ## stop what `make up` started
	@$(BIN)/tierline down

bench: setup ## every benchmark, on servers of their own where they need any; ARGS=--quick to see that they run
	$(BIN)/tierline bench --all $(ARGS)

lock: setup ## resolve pyproject.toml again into requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra dev pyproject.toml -o requirements.lock

clean: ## remove the virtual environment and local data
	rm -rf $(VENV) $(MUTANTS) .venv-quix mutants .tierline

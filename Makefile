# make demo | test | fuzz | chaos | bench | check | audit | train | calibrate: Python 3.11 and make are enough, the rest is set up here.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: install install-dev install-train demo test fuzz check audit chaos bench bench-overload bench-soak bench-scale bench-docs bench-epidemic train calibrate lock clean

install: $(VENV)/.online
install-dev: $(VENV)/.dev
install-train: $(VENV)/.train

# uv makes the install some ten times faster; pip alone does it too. Both take exactly what the lock says, by hash.
define sync
	@command -v $(PYTHON) >/dev/null || { echo "Causa needs Python 3.11: say PYTHON=… if it goes by another name"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing $(1) into $(VENV)"
	@$(PYTHON) -m uv --version >/dev/null 2>&1 || test -x $(VENV)/uv/bin/uv || \
		{ $(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9; } || true
	@if test -x $(VENV)/uv/bin/uv; then \
		$(VENV)/uv/bin/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1); \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1); \
	fi
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
endef

$(VENV)/.online: requirements.lock pyproject.toml
	$(call sync,requirements.lock)
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml
	$(call sync,requirements-dev.lock)
	@touch $@ $(VENV)/.online

$(VENV)/.train: requirements-train.lock pyproject.toml
	$(call sync,requirements-train.lock)
	@touch $@ $(VENV)/.dev $(VENV)/.online

demo: install
	@$(BIN)/causa demo

test: install-dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

# Bad input: over 100,000 records, lines, tables and certificates (docs/bad-input.md); some minutes.
fuzz: install-dev
	CAUSA_FUZZ=$${CAUSA_FUZZ:-30} $(BIN)/python -m pytest -q tests/fuzz --timeout 3600

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Known holes in what the locks name, where the database of them can be reached; `.ci/run` asks too.
audit: install-dev
	CAUSA_AUDIT=1 $(BIN)/python -m pytest -q tests/security/test_requirements.py

# An hour on two cores: workers, broker and models are killed, stopped and lied to; the report is in chaos/report.md.
chaos: install-dev
	PYTHONPATH=tests $(BIN)/python -m chaos
	CAUSA_LONG=1 $(BIN)/python -m pytest -q tests/replay tests/surveillance tests/desk tests/demo tests/security tests/worker/test_start.py tests/worker/test_stop.py tests/test_publish_command.py --timeout 3600

# docs/performance.md tells what each takes; bench-docs puts their last figures there.
MINUTES ?= 30
bench: install-dev
	$(BIN)/python -m bench
bench-overload: install-dev
	$(BIN)/python -m bench --overload
bench-soak: install-dev
	$(BIN)/python -m bench --soak $(MINUTES)
bench-scale: install-dev
	$(BIN)/python -m bench --scale
bench-docs: install-dev
	$(BIN)/python -m bench --write-docs

# An hour on two cores; QUICK=--quick takes some ten minutes. The report is docs/surveillance.md.
bench-epidemic: install-dev
	$(BIN)/python -m bench.epidemic $(QUICK)

# Hours on two cores make the model that is committed, minutes a useful one; interrupted, it goes on where it stopped.
train: install-train
	$(BIN)/causa train

# After a change of lexicon, rules or models: until then every certificate goes to a person.
GOLD := samples/gold.jsonl samples/gold_2.jsonl samples/held_out.jsonl
calibrate: install
	$(BIN)/causa calibrate $(GOLD) -o stream/targeting/thresholds.yaml

lock:
	uv pip compile pyproject.toml -q --no-header --python-version 3.11 --generate-hashes -o requirements.lock
	uv pip compile pyproject.toml -q --no-header --python-version 3.11 --generate-hashes --extra dev -o requirements-dev.lock
	uv pip compile pyproject.toml -q --no-header --python-version 3.11 --generate-hashes --extra dev --extra train -o requirements-train.lock

clean:
	rm -rf $(VENV) .causa build *.egg-info

# Everything a developer does, on a machine that has Python 3.11 or newer with pip, and nothing else.

VENV ?= .venv
TOOLS ?= .tools
ARGS ?=
UV_VERSION := 0.13.8
TEMPORAL_VERSION := v1.32.0
EXTRAS := crewai,embedded,postgres,redis

# The first interpreter that fits; PYTHON=/path/to/python overrides.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	"$$each" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& command -v "$$each" && break; done)

UV := $(TOOLS)/bin/uv
RUN := $(VENV)/bin
PEERS := $(TOOLS)/peers
# Compiled at once: where the environment forbids Python to keep bytecode, each start would take two seconds more.
INSTALL := pip install --quiet --compile-bytecode --python "$(RUN)/python" --constraint requirements.lock
COMPOSE := docker compose --file docker-compose.kafka.yml
LOCK := pip compile pyproject.toml --all-extras --group dev --universal --generate-hashes --no-header --quiet

.DEFAULT_GOAL := help
.PHONY: help dev ready test chaos fuzz hostile check style lint types imports unit format lock lock-check bench temporal wheel up down clean

help: ## Show this text.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- Getting ready -------------------------------------------------------------------------------
# pip may be told to leave the system alone, and the venv module may be missing: `pip --target` works
# in both cases, and uv does the rest.

$(UV):
	@test -n "$(PYTHON)" || { echo "Crewline needs Python 3.11, 3.12 or 3.13, and there is none on the path." >&2; exit 1; }
	@"$(PYTHON)" -m pip --version >/dev/null 2>&1 || { echo "Crewline needs pip, and $(PYTHON) has none." >&2; exit 1; }
	@echo "Fetching uv $(UV_VERSION) into $(TOOLS)"
	@"$(PYTHON)" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade --target "$(TOOLS)" uv==$(UV_VERSION)

$(RUN)/python: | $(UV)
	@"$(UV)" venv --quiet --seed --allow-existing --python "$(PYTHON)" "$(VENV)"

# The stamps are newer than what they were made from, so nothing is installed twice.
$(VENV)/.run: pyproject.toml requirements.lock | $(RUN)/python
	@echo "Installing Crewline into $(VENV)"
	@"$(UV)" $(INSTALL) --editable '.[$(EXTRAS)]'
	@test -x "$(RUN)/pip" || "$(UV)" pip install --quiet --python "$(RUN)/python" pip
	@touch $@

$(VENV)/.dev: pyproject.toml requirements.lock | $(RUN)/python
	@echo "Installing Crewline and its developers' tools into $(VENV)"
	@"$(UV)" $(INSTALL) --editable '.[$(EXTRAS)]' --group dev
	@test -x "$(RUN)/pip" || "$(UV)" pip install --quiet --python "$(RUN)/python" pip
	@touch $(VENV)/.run $@

ready: $(VENV)/.dev ## Install everything that checks and tests need.

# --- Using it ------------------------------------------------------------------------------------

dev: $(VENV)/.run ## Run everything on this machine: HTTP on port 8000, Kafka on 9092. ARGS="--help" shows how.
	@"$(RUN)/crewline" dev $(ARGS)

bench: $(VENV)/.run | $(PEERS)/.installed ## Measure what this machine can do, beside other task queues. ARGS="--help" shows how.
	@"$(RUN)/python" -m benchmarks --tools "$(TOOLS)" $(ARGS)

# An environment of their own: nothing of theirs is ours. Without them the rest is measured.
$(PEERS)/.installed: benchmarks/peers.txt | $(RUN)/python
	@echo "Installing what is measured beside Crewline into $(PEERS)"
	-@"$(UV)" venv --quiet --allow-existing --python "$(RUN)/python" "$(PEERS)" && \
		"$(UV)" pip install --quiet --python "$(PEERS)/bin/python" --requirement benchmarks/peers.txt && touch $@

temporal: ## Build Temporal's server with Go, for make bench on a machine without it: some minutes.
	GOBIN="$(abspath $(TOOLS))/temporal" go install go.temporal.io/server/cmd/server@$(TEMPORAL_VERSION)

wheel: | $(UV) ## Build the wheel, into dist.
	@"$(UV)" build --quiet --wheel && ls dist/*.whl

up: ## Run it in containers, with Kafka and PostgreSQL.
	$(COMPOSE) up --build --wait $(ARGS)

down: ## Stop the containers; ARGS=--volumes forgets their data.
	$(COMPOSE) down $(ARGS)

# --- Changing it ---------------------------------------------------------------------------------

check: style lint types imports unit ## Format, lint, types, imports and unit tests: what every commit must pass.

style: $(VENV)/.dev
	@"$(RUN)/ruff" format --check

lint: $(VENV)/.dev
	@"$(RUN)/ruff" check

types: $(VENV)/.dev
	@"$(RUN)/mypy"

imports: $(VENV)/.dev
	@"$(RUN)/lint-imports"

unit: $(VENV)/.dev
	@"$(RUN)/pytest" tests/unit --quiet --numprocesses auto $(ARGS)

# Most tests wait more than they work, so three files run side by side; what measures or breaks comes alone.
test: $(VENV)/.dev ## Run every test; the first lines say which broker and database they use. ARGS=PATH runs some.
ifeq ($(ARGS),)
	@"$(RUN)/pytest" --numprocesses 3 --dist loadfile -m "not alone"; code=$$?; "$(RUN)/pytest" -m alone && exit $$code
else
	@"$(RUN)/pytest" $(ARGS)
endif

chaos: $(VENV)/.dev ## Break everything for MINUTES (1), and prove that nothing was lost. SEED, BROKERS=3, STORE=sqlite.
	@"$(RUN)/python" -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(BROKERS),--brokers $(BROKERS)) $(if $(STORE),--store $(STORE)) $(ARGS)

hostile: $(VENV)/.dev ## Ask what would stop others, all of it at once for MINUTES (1): answers stay quick, memory flat.
	@"$(RUN)/python" -m tests.hostile $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

fuzz: $(VENV)/.dev ## Ask the gateway whatever its OpenAPI document allows, for MINUTES (10). SEED repeats a run.
	@FUZZ_SECONDS=$$(( $(or $(MINUTES),10) * 60 )) FUZZ_SEED=$(or $(SEED),$$(date +%s)) "$(RUN)/pytest" tests/fuzz $(ARGS)

format: $(VENV)/.dev ## Format the code and mend what can be mended.
	@"$(RUN)/ruff" format
	@"$(RUN)/ruff" check --fix

lock: | $(UV) ## Resolve the dependencies again, keeping the versions that still fit; ARGS=--upgrade takes new ones.
	@"$(UV)" $(LOCK) $(ARGS) --output-file requirements.lock

lock-check: | $(UV) ## Fail when requirements.lock does not fit pyproject.toml.
	@cp requirements.lock "$(TOOLS)/requirements.lock"
	@"$(UV)" $(LOCK) --output-file "$(TOOLS)/requirements.lock"
	@cmp -s requirements.lock "$(TOOLS)/requirements.lock" || { echo "requirements.lock is out of date: run make lock." >&2; exit 1; }

clean: ## Forget what was installed and cached here.
	rm -rf "$(VENV)" "$(TOOLS)" .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage dist
	find app tests -name __pycache__ -prune -exec rm -rf {} +

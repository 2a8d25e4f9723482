# Every target installs what it needs; `make` alone lists them. Needs Python >= 3.11 and make, nothing else.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
INSTALLED := .venv/.installed
CELLS := jobs/preprocess/preprocess/cells.so
PYTEST := $(BIN)/python -m pytest

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(INSTALLED) $(CELLS) ## Install uv and the project into .venv, and compile its C; `.venv/bin/spotline` is there then.

$(INSTALLED): pyproject.toml twin/pyproject.toml requirements/dev.txt requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Spotline needs Python 3.11 or newer and found {sys.version.split()[0]}: say `make PYTHON=/path/to/python3.11 setup`")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/uv.txt
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --no-deps --no-build-isolation --editable ./twin --editable .
	@touch $@

# Another environment is no reason to compile again.
$(CELLS): $(wildcard jobs/preprocess/preprocess/*.c jobs/preprocess/preprocess/*.h) jobs/preprocess/compile.py | $(INSTALLED)
	@$(BIN)/python jobs/preprocess/compile.py --find 2>/dev/null || { echo "No C compiler here: .venv gets the pinned one (100 MB)."; \
		$(UV) pip install --quiet --require-hashes --requirement requirements/compiler.txt; }
	@$(BIN)/python jobs/preprocess/compile.py

.PHONY: demo
demo: setup ## Take one real day of flights through the whole system, on this machine.
	@$(BIN)/spotline demo

.PHONY: test
test: lint ## Lint, then every test but the soak, and a sample of mutants.
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder -m "not soak" --ignore tests/validate --ignore tests/images
	@$(MAKE) --no-print-directory mutants-sample

.PHONY: coverage
coverage: setup ## Lines and branches of the deployed code that the unit tests reach; at least 95%.
	$(PYTEST) -n 2 --dist loadfile -m "not soak" --cov --cov-report=term-missing:skip-covered tests/unit

.PHONY: test-sfn-local
test-sfn-local: setup ## The state machine's cases on Step Functions Local, where Docker has its image.
	$(PYTEST) -m sfn_local tests/statemachine

VALIDATORS := .venv-validate/.installed
$(VALIDATORS): requirements/validate.txt $(INSTALLED)
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv-validate
	@$(UV) pip install --quiet --python .venv-validate/bin/python --require-hashes --requirement requirements/validate.txt
	@touch $@

.PHONY: validate
validate: $(VALIDATORS) ## Prove the template without an account (sam, checkov, parliament, hadolint); a package index is all it needs.
	PATH="$(CURDIR)/.venv-validate/bin:$$PATH" $(PYTEST) tests/validate

# IMAGES_BASE=<image> builds on that in the place of the public bases; tests/images/make_base.sh makes one without a registry.
.PHONY: test-images
test-images: $(VALIDATORS) ## Build the images and run samples in them, and each event with sam; where there is Docker.
	PATH="$(CURDIR)/.venv-validate/bin:$$PATH" IMAGES_BASE="$(IMAGES_BASE)" $(PYTEST) tests/images

MUTATOR := .venv-mutants/.installed
$(MUTATOR): requirements/mutants.txt requirements/dev.txt $(INSTALLED) $(CELLS)
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv-mutants
	@$(UV) pip install --quiet --python .venv-mutants/bin/python --require-hashes --requirement requirements/dev.txt \
		--requirement requirements/mutants.txt
	@touch $@

.PHONY: mutants
mutants: $(MUTATOR) ## Mutate the decisions of layer and functions: at least 95% must be noticed by their tests; hours (docs/mutants.md).
	.venv-mutants/bin/python tests/mutants/run.py

.PHONY: mutants-sample
mutants-sample: $(MUTATOR) ## A sample of that, in half a minute: each commit has its own.
	.venv-mutants/bin/python tests/mutants/run.py --sample

.PHONY: lint
lint: setup ## Ruff (rules and format) and mypy.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: setup ## Put the code into the project's format.
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: soak
soak: setup ## The full counts; writes commit, seeds, durations and outcomes into docs/.
	HYPOTHESIS_PROFILE=soak $(PYTEST) -m soak --timeout 7200

.PHONY: lock
lock: setup ## Pin every dependency by hash again (requirements/*.txt), naming no registry.
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade \
		--group dev --group aws-cli pyproject.toml twin/pyproject.toml --output-file requirements/dev.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade \
		--group dev --group aws-cli --group benchmarks pyproject.toml twin/pyproject.toml --output-file requirements/benchmarks.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade \
		--constraint requirements/dev.txt requirements/mutants.in --output-file requirements/mutants.txt
	for input in requirements/uv.in requirements/validate.in requirements/compiler.in; do \
		$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade \
			$$input --output-file $${input%.in}.txt; \
	done

.PHONY: clean
clean: ## Remove what was installed and built.
	rm -rf .venv .venv-validate .venv-mutants .mutants .aws-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis $(CELLS)*

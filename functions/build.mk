# How `sam build` builds a function or the layer, from any Python: uv picks wheels for Lambda's machine, not for this one.
# Included by the Makefile beside each function. sam runs it with the source as the current folder and ARTIFACTS_DIR as the target.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

HERE := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)
UV := $(or $(wildcard $(HERE)/.venv/bin/uv),$(shell command -v uv),$(error uv is needed: run `make setup`, or install uv))
RUNTIME := 3.13

.SILENT:

# $(call copy,TARGET): the Python source, and nothing that only the build reads.
copy = mkdir -p "$(1)" && tar -cf - --exclude __pycache__ --exclude Makefile --exclude 'requirements.*' . | tar -xf - -C "$(1)"

# $(call install,TARGET): the pinned requirements, each verified by its hash; the lock is complete, so that nothing is resolved here.
install = $(UV) pip install --quiet --target "$(1)" --python-version $(RUNTIME) --python-platform aarch64-manylinux_2_28 \
	--only-binary :all: --no-deps --require-hashes --requirement requirements.txt

# $(call compile,TARGET): .pyc files that the runtime takes without looking at times, which a zip file rounds. Only a Python of the
# runtime's own version can write them; where uv finds and gets none, the runtime compiles at every cold start instead. Without a way to
# the Internet each part of the build learns that anew, so it must not take long.
compile = rm -rf "$(1)/bin" "$(1)/.lock"; if $(UV) python find --quiet $(RUNTIME) >/dev/null 2>&1 || UV_HTTP_RETRIES=1 $(UV) python install --quiet $(RUNTIME) 2>/dev/null; \
	then $(UV) run --quiet --no-project --python $(RUNTIME) python -m compileall -q --invalidation-mode unchecked-hash "$(1)"; \
	else echo "no Python $(RUNTIME) here: built without .pyc, cold starts take longer" >&2; fi

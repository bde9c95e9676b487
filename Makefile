# Two environments, made on first use and kept: .venv-edge (base install) for the demo, .venv (all but gpu) for the tests.
SHELL := /bin/bash
PYTHON ?= python3
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
EDGE := .venv-edge
FULL := .venv
EXTRAS := trainer,builder,calib,dev
SCANNER := tests/edge
REPO := tests/repo tests/chaos
BINDINGS := tests/tensorrt-bindings.txt
FINDINGS := runs/gpu-findings.json
MEASURED_FROM := $(shell date +%s)
.DEFAULT_GOAL := help

# $(call step,name,command): one line before, one clear line when it fails.
define step
@echo "-- $(1)"
@$(2) || { echo "make $@: $(1) failed; nothing after it was run." >&2; exit 1; }
endef

# $(call pytest,name,arguments): processes of their own, because the scanner's runs without torch, and so do its tests; besides,
# torch's threads and those of all the other runtimes together in one process ended in a crash of the interpreter.
# With PYTEST_ARGS one of them may have nothing to run (exit code 5). How it ended is kept for tests/helpers/once_more.py.
pytest = $(FULL)/bin/python -m pytest --cache-clear -o cache_dir=.pytest_cache/$(1) $(2) $(PYTEST_ARGS); code=$$?; \
  echo $$code >$(FULL)/$(1).exit; [ $$code = 0 ] || [ "$$code$(if $(PYTEST_ARGS),,always)" = 5 ]

# What a machine may lack, said before anything is installed.
define check_python
@command -v $(PYTHON) >/dev/null || \
  { echo "$(PYTHON) was not found; install Python 3.10 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
  { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); Python 3.10 or newer is needed, name one: make PYTHON=/path/to/python3" >&2; exit 1; }
@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
  { echo "$(PYTHON) cannot make environments; install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
endef

.PHONY: help demo test test-scanner test-workshop lint schemas soak chaos camera-soak gpu-test clean
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(EDGE)/.installed ## virtual slide -> shipped model -> live counts over ZeroMQ, in under a minute after the set-up
	@$(EDGE)/bin/leuko-edge demo $(DEMO_ARGS)

test: lint $(FULL)/.system ## everything that must hold: ruff, mypy, import rules, pytest (more arguments: PYTEST_ARGS="-k camera -x")
	@echo "-- in the background: builder, calib, trainer and the shipped model; what they say follows at the end"
	@rm -f $(FULL)/*.exit; set -m; $(MAKE) --no-print-directory -k test-workshop >$(FULL)/workshop.log 2>&1 & workshop=$$!; set +m; \
	trap "kill -- -$$workshop 2>/dev/null" EXIT; \
	$(MAKE) --no-print-directory LEUKO_SETUP_LINT_S=$$(( $$(date +%s) - $(MEASURED_FROM) )) test-scanner; scanner=$$?; \
	wait $$workshop; workshop=$$?; cat $(FULL)/workshop.log; \
	[ $$(( scanner || workshop )) = 0 ] || $(FULL)/bin/python tests/helpers/once_more.py $(FULL) scanner calib trainer repo

# Side by side, because half of either waits for processes that it has started. The one in the background is a process group of its
# own, which ends with the other on Ctrl-C.
.PHONY: test-calib test-trainer test-repo
test-scanner:
	$(call step,pytest of the edge,LEUKO_SETUP_LINT_S=$(LEUKO_SETUP_LINT_S) $(call pytest,scanner,$(SCANNER)))

test-workshop: test-calib test-trainer test-repo
test-calib:
	$(call step,pytest of builder and calib,$(call pytest,calib,tests --ignore=tests/trainer --ignore=tests/shipped $(addprefix --ignore=,$(SCANNER) $(REPO))))

test-trainer:
	$(call step,pytest of the trainer and of the shipped model,$(call pytest,trainer,tests/trainer tests/shipped))

test-repo:
	$(call step,pytest of the repository,$(call pytest,repo,$(REPO)))

lint: $(FULL)/.installed ## ruff, mypy --strict and the import rules
	$(call step,ruff check,$(FULL)/bin/ruff check --quiet .)
	$(call step,ruff format,$(FULL)/bin/ruff format --check --quiet .)
	$(call step,mypy,$(FULL)/bin/mypy --strict)
	$(call step,import rules,$(FULL)/bin/lint-imports --no-logo)

soak: $(FULL)/.system ## the full-size versions of the long tests, one half after the other: memory is measured in a process without torch
	$(call step,soak of the edge,$(FULL)/bin/python -m pytest -m soak $(SCANNER) $(PYTEST_ARGS))
	$(call step,soak of builder and trainer,$(FULL)/bin/python -m pytest -m soak tests $(addprefix --ignore=,$(SCANNER)) $(PYTEST_ARGS))

chaos: $(FULL)/.installed ## 200 scans with both sides killed and the wire broken at random (CHAOS_ARGS="--runs 20 --seed 7 --controller letter")
	$(call step,chaos,PYTHONPATH=tests/helpers $(FULL)/bin/python -m chaos $(CHAOS_ARGS))

camera-soak: $(FULL)/.system ## a fake GigE Vision camera through the loop, 2,000 fields: losses by cause, latencies, memory (SOAK_FIELDS=200)
	$(call step,camera soak,PYTHONPATH=tests/helpers $(FULL)/bin/python -m support.namespace shown_soak $(or $(SOAK_FIELDS),2000))

gpu-test: ## on a machine with a GPU, no network needed: what is there is used, the rest from WHEELHOUSE="dir dir"; then docs/gpu-results.md
	$(check_python)
	@$(PYTHON) tests/gpu/first_gpu.py --findings $(FINDINGS) --into "$(or $(INTO),.venv-gpu)" $(if $(WHEELHOUSE),--wheels $(WHEELHOUSE))

schemas: $(FULL)/.installed ## write the published protocol anew from the models: docs/schemas, docs/vectors, docs/asyncapi.yaml, docs/settings.md
	@$(FULL)/bin/python -m edge.published docs

# What examples/c and examples/cpp are built with, GigE Vision cameras, and the tracer of system calls. Tried once; where it cannot be had, the tests that need it are skipped
# and say so.
SYSTEM := gcc g++ pkg-config libzmq3-dev libcjson-dev nlohmann-json3-dev libaravis-0.8-0 iproute2 strace
$(FULL)/.system: $(FULL)/.installed Makefile
	@as_root=$$([ "$$(id -u)" = 0 ] || echo "sudo -n"); \
	install="env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::http::Timeout=20 -o Acquire::Retries=1 -qq"; \
	if command -v cc >/dev/null && command -v g++ >/dev/null && command -v strace >/dev/null && pkg-config --exists libzmq libcjson nlohmann_json 2>/dev/null && /sbin/ldconfig -p | grep -q libaravis-0.8; then :; \
	elif ! command -v apt-get >/dev/null || ! $$as_root true 2>/dev/null; \
	then echo "-- $(SYSTEM): not here, and not to be installed by this user; tests that need them will be skipped"; \
	else echo "-- installing $(SYSTEM) (once)"; \
	  needed="install --yes --no-install-recommends $(SYSTEM)"; \
	  { $$as_root $$install $$needed || { $$as_root $$install update && $$as_root $$install $$needed; }; } >$@.log 2>&1 </dev/null \
	  || echo "-- they could not be installed ($@.log says why); tests that need them will be skipped"; fi
	@touch $@

.PHONY: wheelhouse install sbom third-party
wheelhouse: ## every wheel with its hash, for a machine without network (WHEELHOUSE=dir WITH=calib,builder WHEELS=dir-of-own-wheels)
	$(check_python)
	$(call step,wheelhouse,$(PYTHON) deploy/wheelhouse.py collect "$(or $(WHEELHOUSE),wheelhouse)" --with "$(WITH)" $(addprefix --wheels ,$(WHEELS)))

install: ## install this checkout from a wheelhouse alone, its build backend included (WHEELHOUSE=dir INTO=.venv-edge)
	$(check_python)
	$(call step,install,$(PYTHON) deploy/wheelhouse.py install "$(or $(WHEELHOUSE),wheelhouse)" --into "$(or $(INTO),$(EDGE))" --source .)
	@[ "$(or $(INTO),$(EDGE))" != $(EDGE) ] || touch $(EDGE)/.installed

# The tool that writes it has an environment of its own: what it depends on is no part of what it describes.
sbom: $(EDGE)/.installed ## what is installed on a scanner, as CycloneDX: dist/leukostream.cdx.json
	@[ -x .venv-sbom/bin/cyclonedx-py ] || { $(PYTHON) -m venv .venv-sbom && \
	  .venv-sbom/bin/python -m pip install --quiet --disable-pip-version-check --requirement deploy/sbom-tools.txt; }
	@mkdir -p dist
	$(call step,sbom,.venv-sbom/bin/cyclonedx-py environment $(EDGE)/bin/python --pyproject pyproject.toml --output-reproducible --of JSON -o dist/leukostream.cdx.json)

third-party: $(FULL)/.installed ## the table of third-party components from constraints.txt: docs/third-party.md
	$(call step,third-party,$(FULL)/bin/python deploy/third_party.py docs/third-party.md)

clean: ## remove both environments and every cache
	rm -rf $(EDGE) $(FULL) .venv-gpu .venv-sbom wheelhouse examples/c/build examples/cpp/build build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find edge builder trainer calib tests examples -name __pycache__ -prune -exec rm -rf {} +

$(EDGE)/.installed: pyproject.toml constraints.txt
	$(check_python)
	@echo "-- installing leukostream into $(EDGE) (once; about 500 MB)"
	@$(PYTHON) -m venv $(EDGE)
	@$(EDGE)/bin/python $(PIP_INSTALL) --editable .
	@touch $@

$(FULL)/.installed: pyproject.toml constraints.txt $(BINDINGS)
	$(check_python)
	@echo "-- installing leukostream[$(EXTRAS)] into $(FULL) (once; about 2 GB)"
	@[ -x $(FULL)/bin/python ] || $(PYTHON) -m venv $(FULL)
	@$(FULL)/bin/python $(PIP_INSTALL) --editable ".[$(EXTRAS)]"
	@for each in $$(grep -v '^#' $(BINDINGS)); do \
	  $(FULL)/bin/python $(PIP_INSTALL) --no-deps --upgrade --target $(FULL)/bindings/$$each $$each \
	  || echo "there is no $$each for this Python or processor: its test will be skipped"; done
	@touch $@

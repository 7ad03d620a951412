# `make run` starts the app, `make test` checks it; both install what they need into .venv first.
# Written for GNU make 3.81 and a plain sh, which is what macOS has.

VENV := .venv
PY   := $(VENV)/bin/python
PIP  := $(PY) -m pip -qq --disable-pip-version-check --no-input
ARGS :=

.DEFAULT_GOAL := help
.PHONY: help run test lint audit check-image deploy clean

help:
	@echo "make run              start the app (PORT=7861 make run: on another port)"
	@echo "make test             lint, then all tests (make test ARGS=\"-k drag\": some of them)"
	@echo "make lint             style and format alone, of the Dockerfile too"
	@echo "make audit            known vulnerabilities of what is installed"
	@echo "make check-image      make and run the container's image without Docker (as root)"
	@echo "make deploy SPACE=user/name            put the last commit on a Hugging Face Space"
	@echo "make deploy SPACE=user/name DRY_RUN=1  list what would go up"
	@echo "make clean            remove what these commands made, .venv included"
	@echo "PYTHON=... make run   make .venv with this Python; without it, one of 3.11 to 3.14 is found"

# The browser opens by itself only for a person at this very screen; UNNOISE_OPEN=0 forbids it.
run: $(VENV)/.app-installed
	@if [ -t 1 ] && [ -z "$$SSH_CONNECTION" ] && \
	    { [ "$$(uname)" = Darwin ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; }; then \
	    export UNNOISE_OPEN="$${UNNOISE_OPEN:-1}"; \
	fi; \
	exec $(PY) app.py

test: lint
	@$(PY) tests/browser/chromium.py >/dev/null || { \
	    [ -z "$$CHROMIUM" ] && \
	    echo "Fetching Chromium for the browser tests; this takes some minutes." && \
	    $(PY) -m playwright install chromium; \
	} || { \
	    echo "The browser tests need Chromium or Chrome: install one, or say CHROMIUM=... make test." >&2; \
	    exit 1; \
	}
	@# Two at once: a thread each, else they wait for each other. Status 5: ARGS chose none of these.
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile -m "not alone" $(ARGS) || [ $$? -eq 5 ]
	$(PY) -m pytest -m alone $(ARGS) || [ $$? -eq 5 ]

lint: $(VENV)/.dev-installed
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(VENV)/bin/hadolint Dockerfile

audit: $(VENV)/.dev-installed
	@$(PY) -m tools.audit

# BUILD_ARGS="--build-arg TORCH_CPU_INDEX=" takes PyTorch from pip's own index.
check-image: $(VENV)/.dev-installed
	@$(PY) -m tools.check_image $(BUILD_ARGS)

deploy: $(VENV)/.app-installed
	@$(PY) -m tools.deploy $(if $(filter-out 0,$(DRY_RUN)),--dry-run) -- "$(SPACE)"

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find app -name "*.pyi" -exec rm -f {} +

# The stamps stand for what pip last installed, so that the next start need not ask it.
$(VENV)/.app-installed: requirements.txt | $(PY)
	@echo "Installing what the app needs into $(VENV); the first time this takes some minutes."
	@$(PIP) install -r requirements.txt
	@touch $@

# After the app's own, which hold PyTorch back to a version that suits it.
$(VENV)/.dev-installed: requirements-dev.txt $(VENV)/.app-installed
	@echo "Installing what the tests need into $(VENV)."
	@$(PIP) install -r requirements-dev.txt
	@touch $@

# A Python named by PYTHON must be 3.11 at least; of those found here, PyTorch fits 3.11 to 3.14.
$(PY):
	@rm -rf $(VENV)
	@set -- python3 python3.14 python3.13 python3.12 python3.11; newest=14; \
	if [ -n "$(PYTHON)" ]; then set -- "$(PYTHON)"; newest=99; fi; \
	fits="import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $$newest))"; \
	for name in "$$@"; do \
	    if "$$name" -c "$$fits" 2>/dev/null; then python="$$name"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "Unnoise needs Python 3.11 to 3.14 and found none as $$*: install one, or name it with PYTHON=... make run." >&2; \
	    exit 1; \
	fi; \
	if ! "$$python" -c "import ensurepip, venv" 2>/dev/null; then \
	    echo "$$python lacks its module venv: on Debian and Ubuntu, \`sudo apt install $$(basename "$$python")-venv\` brings it." >&2; \
	    exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$python" --version)."; \
	"$$python" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# The two commands: `make demo` opens the demos, `make test` runs the tests. Both set everything up first.

PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: demo test setup browser lint format clean

demo: setup
	$(BIN)/rnn-hub demo

# Two processes of one thread each: the tests' networks are too small for more threads.
test: setup browser lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(VENV)/.installed

# torch first and alone, at the pinned version: a range, or torch as a dependency, may fetch gigabytes for GPUs.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and f"rnn_hub needs Python 3.11 or newer, and $(PYTHON) is {v[0]}.{v[1]}: say make PYTHON=python3.11")'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep -i '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,demos,audio,music,video,vision,forecasting,onnx]"
	touch $@

# The demos' tests drive a browser. Where none can be installed they skip, and say so.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
	{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	apt-get -qq update >/dev/null 2>&1 && \
	DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium chromium-driver >/dev/null 2>&1; } || \
	echo "no Chromium: the browser tests will skip"

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache

# Two commands on a fresh machine with python3 (venv), make and a package index:
#   make demo    build the embedded default for a Jetson, end to end
#   make test    run all tests
#   make test-arm   the device side on emulated aarch64 (Debian 12, root; docs/arm.md)
# Everything else is for those who work on allnet-edge.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
OUT    ?= demo-build

.PHONY: demo test test-arm check format lock clean

demo: $(STAMP)
	$(BIN)/allnet-edge build --target jetson -o $(OUT)
	$(BIN)/allnet-edge verify $(OUT)/bundle
	@echo "open $(OUT)/report.html"

# In the order of collection the long end-to-end files come first, so that none is left for the end.
test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Debian 12 on x86-64; installs the Debian packages that .ci/debian-packages lists for it, as root.
test-arm: $(STAMP)
	$(BIN)/python tests/arm/run.py

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The lock has every package of every extra with its hashes, and no address of any index.
$(STAMP): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $(STAMP)

lock:
	uv pip compile pyproject.toml --extra dev -c requirements/constraints.txt --universal \
	  --python-version 3.10 --generate-hashes --no-header -q -o requirements/dev.txt
	uv pip compile pyproject.toml --extra litert --extra onnx --extra serve -c requirements/constraints.txt \
	  --universal --python-version 3.10 --generate-hashes --no-header -q -o requirements/device.txt

clean:
	rm -rf $(VENV) demo-build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

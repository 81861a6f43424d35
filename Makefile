# make demo   create .venv, install, and run the main job: out/demo.mp4, out/demo.png
# make test   install what tests need; format check, lint, strict types, tests
# make format mend format and lint

PYTHON ?= python3
BIN := .venv/bin
SOURCES := stream engines tests run_pipeline.py

.PHONY: demo test format clean

demo: .venv/installed
	$(BIN)/python run_pipeline.py --input demo

test: .venv/installed-test
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/pytest

format: .venv/installed-test
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

clean:
	rm -rf .venv out build *.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-test: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[train,test]"
	touch $@ .venv/installed

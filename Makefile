# Trivium. `make repro` and `make test` build the environment themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)
export DVC_NO_ANALYTICS := true
export MLFLOW_DISABLE_TELEMETRY := true
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help env env-dev env-ray repro verify prune test test-all ui report bench count lint docs clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

env: $(VENV)/.installed  ## the environment of the pipeline (pinned)

env-dev: $(VENV)/.installed-dev  ## the same with the tools of the tests

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# tinysoundfont renders notes; its only dependency plays them through a sound card.
$(VENV)/.installed: constraints.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e .
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt tinysoundfont
	touch $@

$(VENV)/.installed-dev: constraints.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --progress-bar on -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps -c constraints.txt tinysoundfont
	touch $@ $(VENV)/.installed

GRID ?= default

repro: env  ## everything: data, pretraining, probes, comparison, report (GRID=full: another grid)
	GRID="$(GRID)" $(BIN)/python -m dvc repro
	@echo "make report opens the report, make ui shows the runs"

prune: env  ## list runs and features that no grid refers to; YES=1 removes them
	$(BIN)/python pipelines/prune.py remove=$(if $(YES),true,false)

test: env-dev  ## the quick tests
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow" $(ARGS)

test-all: env-dev env-ray  ## the slow tests: SLURM, Ray, grids that are stopped and go on
	$(BIN)/python -m pytest -n auto --dist loadfile -m slow $(ARGS)

# Ray shares the packages of the other environment, which it lies upon.
env-ray: .venv-ray/.installed  ## an environment that has Ray as well, for launcher=ray

.venv-ray/.installed: constraints.txt $(VENV)/.installed
	$(PYTHON) -m venv .venv-ray
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$(.venv-ray/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/shared.pth
	.venv-ray/bin/python -m pip install --quiet -c constraints.txt ray
	touch $@

ui: env  ## MLflow on http://127.0.0.1:5000
	$(BIN)/python -m trivium.tracking.server

report: env  ## open the report in a browser
	$(BIN)/python -m webbrowser -t "file://$(abspath outputs/report/index.html)"

bench: env-dev  ## speed, as ratios
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/views.py
	$(BIN)/python benchmarks/probes.py

verify: env  ## run a few published cells again and compare (VERSION=0.1 CELLS=3 SEED=0)
	$(BIN)/python pipelines/verify.py version="$(or $(VERSION),0.1)" cells=$(or $(CELLS),3) seed=$(or $(SEED),0)

count:  ## lines and files of src/ and pipelines/
	@find src pipelines -name '*.py' -print0 | xargs -0 cat | wc -l
	@find src pipelines -name '*.py' | wc -l

lint: env-dev  ## ruff, mypy, import-linter
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: env-dev  ## check the tables of README and docs, and build the site in outputs/docs
	$(BIN)/python docs/results.py --check
	$(BIN)/python docs/objectives.py --check
	$(BIN)/python -m sphinx -W --keep-going -q docs outputs/docs

clean:  ## remove everything generated; the environment stays
	rm -rf outputs .pytest_cache .mypy_cache .ruff_cache .hypothesis .dvc/cache .dvc/tmp
	find mlruns -mindepth 1 ! -name README.md -delete

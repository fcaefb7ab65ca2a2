# Each target sets up what it needs first. `make help` prints the texts after ##, in the order of this file.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)

# TORCH=cpu takes torch's own CPU wheels (200 MB) in place of the CUDA build (5.5 GB).
TORCH ?= cuda
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
CUDA_PACKAGES := torch|torchvision|triton|nvidia-.*|cuda-.*
PANGO := libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0

.PHONY: help demo reference docs paper dev test test-slurm check lint types workflow format bench setup pango lock sbom licences audit clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## the paper from the embedded X-rays in minutes, without a GPU: results/demo/paper/paper.html and paper.pdf
	snakemake --cores all --configfile config/demo.yaml
	@echo "The paper: results/demo/paper/paper.html and paper.pdf"

reference: setup ## the paper from the reference results, without training, in a minute: results/reference/paper/
	snakemake --cores all --configfile config/reference.yaml
	@echo "The paper: results/reference/paper/paper.html and paper.pdf"

docs: reference ## the reference results' paper as docs/paper.html and docs/paper.pdf
	cp results/reference/paper/paper.html results/reference/paper/paper.pdf docs/

paper: setup ## the paper from Kaggle's images, on a GPU
	snakemake --cores all

dev: setup ## the paper from the images in the folder that CXR_DATA names, without a GPU
	snakemake --cores all --configfile config/dev.yaml

test: check ## all checks and tests (make test PYTEST_ARGS='-m "not slow"' for the quick ones)
	pytest $(PYTEST_ARGS)

test-slurm: setup ## the workflow and its faults on a real Slurm, which the tests start and stop, in 15 minutes
	pytest -m slurm tests/slurm

check: lint types workflow ## all checks without the tests: lint, types, workflow

lint: setup ## the style of the Python files (ruff)
	ruff check .
	ruff format --check .

types: setup ## the type hints (mypy)
	mypy

workflow: setup ## the style of the Snakefile and its rules (snakefmt, Snakemake's own lint)
	snakefmt --check Snakefile workflow
	snakemake --lint --config container=cxr.sif

format: setup ## fix the style of all files, as far as ruff and snakefmt can
	ruff check --fix .
	ruff format .
	snakefmt Snakefile workflow

bench: setup ## speed against named baselines: benchmarks/results/report.md (PARTS='data training' for some)
	python -m benchmarks $(PARTS)

setup: $(VENV)/installed pango ## the virtual environment .venv with all locked packages (TORCH=cpu: without CUDA)

$(VENV)/installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed; install Python 3.11 (Debian, Ubuntu: apt-get install python3.11-venv), or name another with PYTHON=."; exit 1; }
	@$(PYTHON) -c "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] < (3, 11))" 2>/dev/null || { echo "$(PYTHON) is older than 3.11 or lacks venv; install Python 3.11 with venv (Debian, Ubuntu: apt-get install python3.11-venv)."; exit 1; }
	$(PYTHON) -m venv $(VENV)
ifeq ($(TORCH),cpu)
	$(BIN)/pip install --quiet --index-url $(TORCH_CPU_INDEX) $$(grep -oE '^(torch|torchvision)==[^ ]+' requirements.lock)
	$(BIN)/pip install --quiet --no-deps --require-hashes -r <(awk '/^[a-z]/ {keep = $$0 !~ /^($(CUDA_PACKAGES))==/} keep' requirements.lock)
else
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
endif
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# WeasyPrint draws text with Pango, a system library; the list of loaded libraries tells in 10 ms whether it is there.
pango: ## the system library that draws the text of the PDF; installed if you are root
	@ldconfig -p 2>/dev/null | grep -q libpangoft2-1.0 && ldconfig -p | grep -q libharfbuzz-subset \
	|| $(BIN)/python -c "import weasyprint" 2>/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq $(PANGO) >/dev/null; } \
	|| { echo "Pango is missing, which draws the PDF's text; install it: sudo apt-get install $(PANGO)"; exit 1; }

lock: ## pin the newest versions that pyproject.toml allows into requirements.lock (needs uv)
	uv pip compile --quiet --universal --generate-hashes --all-extras --python-version 3.11 --no-annotate \
	  --custom-compile-command "make lock" --upgrade --output-file requirements.lock pyproject.toml

sbom: ## the packages of the lock as a CycloneDX bill of materials: sbom.cdx.json (needs uv)
	uvx --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
	  --output-reproducible --output-file sbom.cdx.json requirements.lock

licences: setup ## the table of the packages' licences in docs/licences.md
	cxr licences

audit: setup ## known vulnerabilities of the packages of the lock (needs uv and the network)
	@if python -c "import requests; requests.get('https://pypi.org/pypi/pip/json', timeout=10).raise_for_status()" 2>/dev/null; \
	then uvx --quiet pip-audit==2.10.1 --strict --disable-pip --require-hashes --requirement requirements.lock; \
	else echo "SKIPPED: pypi.org, which knows the vulnerabilities, does not answer."; fi

clean: ## remove the virtual environment and the demo's results
	rm -rf $(VENV) results/demo .snakemake

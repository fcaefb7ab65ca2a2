# make demo | make test | make paper. Each sets up what it needs first; `make help` lists the rest.
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

.PHONY: help demo paper dev test bench check setup pango lock clean

help:
	@echo "make demo    the paper from drawn phantoms, in minutes: results/demo/paper/paper.html and paper.pdf"
	@echo "make paper   the paper from Kaggle's images, on a GPU"
	@echo "make dev     the paper from the images in the folder that CXR_DATA names, without a GPU"
	@echo "make test    all checks and tests (make test PYTEST_ARGS='-m \"not slow\"' for the quick ones)"
	@echo "make bench   speed against named baselines: benchmarks/results/report.md (make bench PARTS='data training' for some)"
	@echo "make lock    pin the newest versions that pyproject.toml allows into requirements.lock"
	@echo "make clean   remove the virtual environment and the demo's results"

demo: setup
	snakemake --cores all --configfile config/demo.yaml
	@echo "The paper: results/demo/paper/paper.html and paper.pdf"

paper: setup
	snakemake --cores all --configfile config/config.yaml

dev: setup
	snakemake --cores all --configfile config/dev.yaml

test: check
	pytest $(PYTEST_ARGS)

bench: setup
	python -m benchmarks $(PARTS)

check: setup
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

setup: $(VENV)/installed pango

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
pango:
	@ldconfig -p 2>/dev/null | grep -q libpangoft2-1.0 && ldconfig -p | grep -q libharfbuzz-subset \
	|| $(BIN)/python -c "import weasyprint" 2>/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq $(PANGO) >/dev/null; } \
	|| { echo "Pango is missing, which draws the PDF's text; install it: sudo apt-get install $(PANGO)"; exit 1; }

lock:
	uv pip compile --quiet --universal --generate-hashes --all-extras --python-version 3.11 --no-annotate \
	  --custom-compile-command "make lock" --upgrade --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) results/demo .snakemake

# make demo   install, then teach a generator to do what it is told by reward on this machine, and write the report
# make test   install with the developers' tools, then lint and run the whole suite
# make help   everything else

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
TORCH ?= 2.13.0
# On Linux without an NVIDIA driver the processor-only build of torch saves gigabytes; empty takes pip's own choice.
TORCH_INDEX ?= $(shell uname | grep -q Linux && ! command -v nvidia-smi >/dev/null && \
	curl -sfI --max-time 5 https://download.pytorch.org/whl/cpu/torch/ >/dev/null && \
	echo --extra-index-url https://download.pytorch.org/whl/cpu)
RUN ?= runs/demo
DATA ?= ../shared/data/bandai-namco

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help install dev demo test matrix lint format parity gpu assets world world-pack completions clean
.DEFAULT_GOAL := help

help:
	@echo "make demo         install, fine-tune the built-in generator on events, evaluate before and after, write a report"
	@echo "make test         install the developers' tools, lint, and run every test"
	@echo "make matrix       make test with every Python of PYTHONS that is here, each in an environment of its own"
	@echo "make lint         ruff and mypy"
	@echo "make format       let ruff put the code into shape"
	@echo "make parity       only the comparison with golden data (MOTIONRFT_GOLDEN says where they lie)"
	@echo "make gpu          what needs a GPU: its tests, costs at full size, precision; tables in GPU_OUT (five minutes)"
	@echo "make assets       train the built-in models again from DATA (about two hours on two cores)"
	@echo "make completions  write the completions for bash, zsh and fish"
	@echo "make world        train the models of the wider world from WORLD/packed.tar.xz, which make world-pack writes"
	@echo "make reference    write presets/README.md, every setting"
	@echo "make install      the environment alone; PYTHON, VENV and TORCH may be set"

# Each stamp says that a step is done, so that a second run starts at once.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "motionrft needs Python 3.11 or newer; name one with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.torch-$(TORCH): | $(BIN)/python
	$(PIP) $(TORCH_INDEX) "torch==$(TORCH)"
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.torch-$(TORCH)
	$(PIP) -e ".[mini]"
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.installed
	$(PIP) -e ".[mini,viz,dev]"
	@touch $@

install: $(VENV)/.installed

dev: $(VENV)/.dev

demo: install
	$(BIN)/motionrft finetune --preset world-easytune --out $(RUN) --overwrite
	$(BIN)/motionrft sample --generator $(RUN)/generator --seconds 6 --seed 1 --format html,png --out $(RUN)/composed --overwrite \
		"a person bows deeply, then walks forward" "a person raises the right hand and then runs forward" \
		"a person jumps up, then waves with both hands" "a person jumps up twice"

PYTHONS ?= 3.11 3.12 3.13

matrix:
	@for version in $(PYTHONS); do \
		if command -v python$$version >/dev/null; then \
			$(MAKE) test PYTHON=python$$version VENV=.venv-$$version || exit 1; \
		else echo "python$$version: not on this machine"; fi; done

# Tests share two processes, file by file.
JOBS ?= 2

test: lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

parity: dev
	$(BIN)/python -m pytest tests/parity

GPU_OUT ?= gpu-results

gpu: dev
	$(BIN)/python -m tests.benchmarks.gpu --device cuda --out $(GPU_OUT)

# Every step can be interrupted and taken up again by a second `make assets`.
ASSETS ?= build/assets
# Twice as fast as fp32 on a processor with AVX-512 BF16 or AMX; fp32 on any other.
ASSETS_PRECISION ?= bf16
again = $(if $(wildcard $(ASSETS)/$(1)),--resume)

assets: install
	test -d $(ASSETS)/bvh || { mkdir -p $(ASSETS) && tar -xJf $(DATA)/bvh.tar.xz -C $(ASSETS); }
	test -f $(ASSETS)/data/dataset.json || $(BIN)/motionrft convert $(ASSETS)/bvh --dataset --preset bandai-namco \
		--captions $(DATA)/captions.jsonl --splits $(DATA)/index.csv --out $(ASSETS)/data
	$(BIN)/motionrft pretrain --preset mini-mld --precision $(ASSETS_PRECISION) --data $(ASSETS)/data --out $(ASSETS)/base $(call again,base)
	$(BIN)/motionrft train-reward --preset mini --stage all --precision $(ASSETS_PRECISION) --data $(ASSETS)/data \
		--set authenticity.fakes=$(ASSETS)/base/generator --out $(ASSETS)/reward $(call again,reward)
	$(BIN)/motionrft train-reward --preset evaluator-mini --data $(ASSETS)/data --out $(ASSETS)/judge $(call again,judge)
	$(BIN)/python -c "import sys; from pathlib import Path; from motionrft.pretraining.builtin_models import *; \
		assemble(Sources(*map(Path, sys.argv[1:])))" \
		$(ASSETS)/data $(ASSETS)/base/generator $(ASSETS)/reward/reward $(ASSETS)/judge/evaluator
	$(BIN)/motionrft pretrain --preset mini-motiongpt --data $(ASSETS)/data --out $(ASSETS)/tokens $(call again,tokens)
	$(BIN)/python -c "import sys; from pathlib import Path; from motionrft.pretraining.builtin_tokens import *; \
		assemble_tokens(*map(Path, sys.argv[1:]))" $(ASSETS)/data $(ASSETS)/tokens/generator

# The wider world: Bandai-Namco's and CMU's clips with composed events. `world-pack` makes one small file of the captures,
# to be taken to a machine with a GPU; `world` trains from it, for hours on a processor; DEVICE=cuda WORLD_SECONDS=75 ends each of
# its six trainings after so long, about ten minutes in all (side by side: python -m tests.benchmarks.world_gpu). The reward
# and the evaluator learn from groups of equally long motions too (`even`): without them they tell a number by the length.
CMU ?= ../shared/data/cmu-everyday
WORLD ?= build/world
DEVICE ?= auto
WORLD_SECONDS ?=
limited = $(if $(WORLD_SECONDS),--set time_limit=$(WORLD_SECONDS))

world-pack: install
	$(BIN)/python -c "import sys; from pathlib import Path; from motionrft.pretraining.packed_joints import *; \
		b, c, out = map(Path, sys.argv[1:]); \
		pack([Source('bandai-namco', b / 'bvh.tar.xz', b / 'captions.jsonl', b / 'index.csv', 'split_strict'), \
		Source('cmu-everyday', c / 'joints.tar.xz', c / 'captions.jsonl', c / 'index.csv')], out)" \
		$(DATA) $(CMU) $(WORLD)/packed.tar.xz

world: install
	test -d $(WORLD)/raw || $(BIN)/python -c "import sys; from pathlib import Path; \
		from motionrft.pretraining.packed_joints import *; unpack(*map(Path, sys.argv[1:]))" $(WORLD)/packed.tar.xz $(WORLD)/raw
	test -f $(WORLD)/data/dataset.json || $(BIN)/motionrft convert $(WORLD)/raw/joints --dataset --preset world \
		--captions $(WORLD)/raw/captions.jsonl --splits $(WORLD)/raw/splits.csv --out $(WORLD)/data
	$(BIN)/motionrft pretrain --preset world-mld --device $(DEVICE) $(limited) --data $(WORLD)/data --out $(WORLD)/base $(if $(wildcard $(WORLD)/base),--resume)
	test -f $(WORLD)/even/dataset.json || $(BIN)/motionrft convert $(WORLD)/raw/joints --dataset --preset world \
		--captions $(WORLD)/raw/captions.jsonl --splits $(WORLD)/raw/splits.csv --set 'compose.even={train: 900, val: 75, test: 90}' \
		--out $(WORLD)/even
	$(BIN)/motionrft train-reward --preset world --stage all --device $(DEVICE) $(limited) --data $(WORLD)/even \
		--set authenticity.fakes=$(WORLD)/base/generator --out $(WORLD)/reward $(if $(wildcard $(WORLD)/reward),--resume)
	$(BIN)/motionrft train-reward --preset evaluator-mini --device $(DEVICE) $(limited) --data $(WORLD)/even --set evaluator.batches=grouped \
		--set evaluator.batch=128 --out $(WORLD)/judge $(if $(wildcard $(WORLD)/judge),--resume)
	$(BIN)/python -c "import sys; from pathlib import Path; from motionrft.pretraining.builtin_world import *; \
		write_material(*map(Path, sys.argv[1:]))" $(WORLD)/data $(WORLD)/judge/evaluator $(WORLD)/material

reference: install
	$(BIN)/python -m motionrft_cli.reference > presets/README.md

completions: install
	for shell in bash zsh fish; do $(BIN)/motionrft --show-completion $$shell > completions/motionrft.$$shell || exit 1; done

clean:
	rm -rf build dist runs .pytest_cache .mypy_cache .ruff_cache .hypothesis

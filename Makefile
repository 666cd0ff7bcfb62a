# Everything that a contributor or CI runs. `make` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
# One thing after another: each target uses all cores by itself.
.NOTPARALLEL:
.PHONY: help build check quick peers tools fuzz docs bench bench-controller soak windows macos test release test-release release-tools sign-release push-images

# How long each fuzz target runs: enough to catch what broke today. For a long run: make fuzz FUZZ_SECONDS=3600
FUZZ_SECONDS ?= 5

# Tools are kept in the user's cache, by version, so that they are compiled once per machine and not once per checkout.
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sealant-tools
CARGO_DENY := $(TOOLS)/cargo-deny-0.20.2/bin/cargo-deny
CARGO_FUZZ := $(TOOLS)/cargo-fuzz-0.13.2/bin/cargo-fuzz

# Tests make and remove many small files, which takes half of the time in memory, where there is enough of it.
IN_MEMORY := $(shell test "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 4000000 && echo TMPDIR=/dev/shm)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

build: ## Compile everything, for development
	cargo build --workspace

check: $(CARGO_DENY) ## Check format, lints, and the dependencies' licences and sources
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --package sealant --lib --no-default-features --locked -- -D warnings
	$(CARGO_DENY) --workspace --log-level error check bans licenses sources

quick: ## Run the unit tests and the tests of the command line: the everyday loop
	$(IN_MEMORY) cargo test --workspace --lib --bins $(if $(wildcard tests/cli*),--test 'cli*')

peers: ## Build the real programs that tests run beside Sealant (twenty minutes, once per machine)
	tests/peers/get

tools: $(CARGO_DENY) $(CARGO_FUZZ) ## Install cargo-deny and cargo-fuzz (five minutes, once per machine)

fuzz: $(patsubst fuzz/fuzz_targets/%.rs,fuzz-%,$(wildcard fuzz/fuzz_targets/*.rs)) ## Run each fuzz target for FUZZ_SECONDS

docs: ## Build the documentation of the code
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked

bench: ## Measure beside sops, and write the figures into docs/performance.md (a quarter of an hour)
	SEALANT_PEERS=$$(tests/peers/get); export SEALANT_PEERS; \
	cargo bench --locked --bench documents --bench vault; \
	TMPDIR=/dev/shm cargo bench --locked --bench vault

bench-controller: ## Measure the controller beside sealed-secrets, and write the figures into docs/performance.md (an hour)
	SEALANT_PEERS=$$(tests/peers/get); export SEALANT_PEERS; \
	cargo bench --package sealant-controller --locked --bench figures

soak: ## Run the controller through random work and faults for half an hour (the tests do so for a minute)
	SEALANT_PEERS=$$(tests/peers/get); export SEALANT_PEERS; \
	SEALANT_SOAK_SECONDS=$${SEALANT_SOAK_SECONDS:-1800} \
	cargo test --package sealant-controller --locked --test faults soak -- --nocapture

windows: ## Build the command line for Windows, and run its tests under wine (a quarter of an hour)
	tests/windows/run

# The command line itself takes Apple's frameworks to be linked. What is linked is the library without what asks servers, and
# with all C code: the rest of it is Rust.
macos: ## Check that the command line compiles for macOS, and link what can be linked without a Mac
	rustup target add aarch64-apple-darwin x86_64-apple-darwin
	peers=$$(tests/peers/get --macos); export CARGO_ZIGBUILD_ZIG_PATH="$$peers/zig"; \
	"$$peers/cargo-zigbuild" check --locked --package sealant --bin sealant \
		--target aarch64-apple-darwin --target x86_64-apple-darwin; \
	"$$peers/cargo-zigbuild" rustc --locked --package sealant --lib --no-default-features --features bitnami \
		--crate-type cdylib --target aarch64-apple-darwin

release-tools: ## Install what a release takes, as root on Debian (half an hour, once per machine)
	release/tools

release: ## Build what is released from the commit that is checked out, into dist/ (docs/releasing.md)
	release/build

test-release: ## Install dist/ on machines that have nothing else, verify it, and build it once more elsewhere to compare
	release/lint
	release/test
	release/test-wheels
	release/test-windows
	release/test-images
	release/test-sbom
	release/test-verify
	release/test-cluster
	release/reproduce

sign-release: ## Sign dist/ as the workflow of a release
	release/sign dist

push-images: ## Push the images in dist/, and sign them as the workflow of a release
	release/push dist

test: tools check ## Run everything, as CI does
	SEALANT_PEERS=$$(tests/peers/get); export SEALANT_PEERS; $(IN_MEMORY) cargo test --workspace --locked --no-fail-fast
	$(MAKE) fuzz docs macos

$(CARGO_DENY):
	cargo install --locked --root $(TOOLS)/cargo-deny-0.20.2 cargo-deny@0.20.2

$(CARGO_FUZZ):
	cargo install --locked --root $(TOOLS)/cargo-fuzz-0.13.2 cargo-fuzz@0.13.2

# One fuzz target. It starts from a copy of the corpus, since it writes what it finds into it. RUSTC_BOOTSTRAP because
# coverage counters are a nightly feature; no sanitizer, because that would need a nightly standard library.
fuzz-%: $(CARGO_FUZZ)
	corpus=$$(mktemp -d); trap 'rm -r "$$corpus"' EXIT; \
	if [[ -d fuzz/corpus/$* ]]; then cp -r fuzz/corpus/$*/. "$$corpus"; fi; \
	RUSTC_BOOTSTRAP=1 $(CARGO_FUZZ) run --dev --sanitizer none $* "$$corpus" -- -max_total_time=$(FUZZ_SECONDS) -timeout=10

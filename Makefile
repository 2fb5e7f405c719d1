# What one can do here, each by one command. Every target does the set-up it needs, or says in one line what is missing.

SHELL := bash
.DEFAULT_GOAL := help

# Seconds for each fuzz target; `make fuzz FUZZ_SECONDS=600` for a night's worth.
FUZZ_SECONDS ?= 60
# What `make bench` measures, if not everything; `make bench FIGURES="--only memory --rounds 3"`.
FIGURES ?=

.PHONY: help demo demo-cache demo-kafka demo-trace test test-long bench lint fuzz deny advisories

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

demo: ## build, send real events through a journal to a small function, show what happened, end by itself
	@scripts/need.sh cargo cc make perl
	@echo "building outrigger and the demo's function (the first build takes some minutes) ..."
	cargo build --locked -p outrigger -p outrigger-function
	demo/run.sh

demo-cache: ## answers of a function, kept and served without it: a miss, hits, and what is never kept
	@scripts/need.sh cargo cc make perl curl
	@echo "building outrigger and the demo's function (the first build takes some minutes) ..."
	cargo build --locked -p outrigger -p outrigger-function
	demo/cache.sh

demo-kafka: ## the same with a real Kafka: from a topic to a function and back to a reply topic
	@scripts/need.sh cargo cc make perl java
	@echo "building outrigger and the demo's function (the first build takes some minutes) ..."
	cargo build --locked -p outrigger -p outrigger-function
	demo/kafka.sh

demo-trace: ## what became of one event: its timeline, without any collector
	@scripts/need.sh cargo cc make perl
	@echo "building outrigger and the demo's function (the first build takes some minutes) ..."
	cargo build --locked -p outrigger -p outrigger-function
	demo/trace.sh

test: ## everything that must hold: format, lints, dependencies, tests, documentation, short fuzz runs
	@scripts/need.sh cargo cc c++ perl
	@scripts/test.sh

test-long: ## the same tests with their long counts, and ten minutes for each fuzz target
	@scripts/need.sh cargo cc c++ perl
	@OUTRIGGER_LONG=1 FUZZ_SECONDS=600 scripts/test.sh

bench: ## the table of figures, as ratios in one run; writes target/bench/report.json
	@scripts/need.sh cargo cc
	cargo build --locked --release -p outrigger -p outrigger-bench
	@$(or $(CARGO_TARGET_DIR),target)/release/figures --out $(or $(CARGO_TARGET_DIR),target)/bench $(FIGURES)

lint: ## format, clippy and documentation, without running anything
	@scripts/need.sh cargo cc perl
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

fuzz: ## every parser against FUZZ_SECONDS (60) of coverage-guided input
	@scripts/need.sh cargo cc c++
	scripts/fuzz.sh $(FUZZ_SECONDS)

deny: ## licences, banned crates, the direction of dependencies
	@scripts/need.sh cargo cc
	scripts/deny.sh bans licenses sources

advisories: ## known vulnerabilities of dependencies; says when it could not look
	@scripts/need.sh cargo cc
	scripts/deny.sh advisories

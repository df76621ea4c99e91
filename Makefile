# The two commands that matter: `make up` and `make test`. The rest are their parts.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := target/debug/bartizan
UI_SOURCES := $(shell find ui -path ui/node_modules -prune -o -path ui/dist -prune -o -type f -print 2>/dev/null)

.PHONY: help up test build unit cluster test-cluster kafka test-kafka browser console-check screenshots clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

up: build ## Build everything, start on 127.0.0.1:8000 with ./data, scan examples/ and this host
	@exec $(BIN) up --data ./data --listen 127.0.0.1:8000 --scan-host --scan examples/shop --scan examples/platform

build: ui/dist/index.html ## Build the console and the binary
	@scripts/need compiler
	cargo build --locked --package bartizan-cli

ui/dist/index.html: $(UI_SOURCES)
	@scripts/need node-modules
	cd ui && npm run --silent build

test: ## Run every test; starts and stops the servers it needs
	@$(MAKE) --no-print-directory console-check
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory cluster
	@$(MAKE) --no-print-directory kafka
	@$(MAKE) --no-print-directory browser

console-check: ## Type check and unit tests of the console
	@scripts/need node-modules
	cd ui && npm run --silent check && npm run --silent unit

# The test build also makes the binary, with the console in it, for the browser tests:
# everything is compiled once.
unit: ui/dist/index.html ## Rust tests, PostgreSQL included
	@scripts/need compiler postgres
	scripts/with-postgres cargo test --workspace --locked

# A real API server, built from the Go module proxy once a machine: see docs/cluster-tests.md.
test-cluster: ## Tests against a real Kubernetes API; builds it first, which takes minutes
	@scripts/need compiler
	@scripts/kube
	scripts/with-cluster cargo test --locked --package bartizan-cluster --test real -- --ignored

cluster: ## The same, wherever the API server is built already; otherwise says why not
	@if reason=$$(scripts/kube --cached 2>&1 >/dev/null); then \
	  scripts/with-cluster cargo test --workspace --locked --test real -- --ignored; \
	else echo "SKIPPED: tests against a real Kubernetes API: $$reason"; fi

# A real broker, brought from Maven Central once a machine: see docs/adr/0013-stream.md. The client's
# library and OpenSSL are compiled for it.
# The whole workspace is named so that everything else keeps the features it was built with.
KAFKA_TESTS := cargo test --locked --workspace --features bartizan-cli/kafka --test kafka -- --ignored \
	--test-threads 1

test-kafka: ## Tests against a real Kafka and PostgreSQL; brings the broker first
	@scripts/need compiler postgres kafka openssl
	@scripts/kafka
	scripts/with-postgres scripts/with-kafka $(KAFKA_TESTS)

kafka: ## The same, wherever the broker is there already; otherwise says why not
	@if reason=$$(scripts/kafka --cached 2>&1 >/dev/null); then \
	  scripts/need compiler postgres openssl; scripts/with-postgres scripts/with-kafka $(KAFKA_TESTS); \
	else echo "SKIPPED: tests against a real Kafka: $$reason"; fi

browser: ui/dist/index.html ## The console in a real browser; run `make unit` or `make build` before
	@scripts/need chromium node-modules
	scripts/browser-test
	@# What an empty installation cannot show: questions, advisories that hit, servers that fail.
	cd ui && npm run --silent browser

clean: ## Remove what was built, keep ./data
	rm -rf target ui/dist ui/node_modules

# Everything a developer and CI need. `make` alone lists the targets.
.DEFAULT_GOAL := help

GO ?= go
TOOL := $(GO) tool -modfile=tools/go.mod

# make bench: how long each benchmark runs, and how often.
BENCHTIME ?= 1s
BENCHCOUNT ?= 1
# make torture: time for each fuzz target, and how often a process is killed.
FUZZTIME ?= 2m
KILLS ?= 100

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/seeother
	$(GO) build -trimpath -o bin/seeother ./cmd/seeother

.PHONY: test
test: ## run all tests that this machine can run, and say what was left out
	@GO=$(GO) tools/test.sh

.PHONY: lint
lint: ## run the linters, check the formatting and that go.mod is tidy
	$(GO) mod tidy -diff
	$(TOOL) golangci-lint run

.PHONY: fmt
fmt: ## format all Go files as the linters want them
	$(TOOL) golangci-lint fmt

.PHONY: vuln
vuln: ## look for known vulnerabilities (asks the Go vulnerability database)
	$(TOOL) govulncheck ./...

.PHONY: bench
bench: ## run the Go benchmarks with allocations
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -count $(BENCHCOUNT) . ./once ./store/... ./internal/gateway

.PHONY: bench-proxy
bench-proxy: ## measure the gateway beside Caddy and nginx (docs/performance.md)
	$(GO) run ./bench/proxy

.PHONY: bench-rules
bench-rules: ## measure redirect rules, alone and beside nginx, HAProxy and Caddy (docs/performance.md)
	$(GO) test -run '^$$' -bench 'Match|LoadFile|Build' -benchmem -benchtime $(BENCHTIME) -count $(BENCHCOUNT) ./rule
	$(GO) run ./bench/rules

.PHONY: torture
torture: ## test for long: fuzz every parser, kill more often (FUZZTIME, KILLS)
	@GO=$(GO) FUZZTIME=$(FUZZTIME) SEEOTHER_KILLS=$(KILLS) tools/torture.sh

.PHONY: clean
clean: ## remove what was built
	rm -rf bin bench/out

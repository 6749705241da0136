# The names that a newcomer tries first. .ci/run is the whole of it.

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 30s

.PHONY: all build test test-wine race lint fuzz bench interop containerd kill-test release test-release man ci

all: build test

build: ## the program, in bin/
	$(GO) build -o bin/mullion ./cmd/mullion

test:
	$(GO) test ./...

test-wine: ## the tests of the Windows build, run by Debian's wine64; see docs/wine.md
	scripts/test-wine

race:
	$(GO) test -race ./...

lint:
	test -z "$$(gofmt -l .)"
	$(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

fuzz: ## every fuzz target for FUZZTIME
	FUZZTIME=$(FUZZTIME) scripts/fuzz-all

interop: ## layers that other tools write
	cd interop && $(GO) test ./...

bench: ## tables against peers and floors
	cd bench && $(GO) run .

containerd: ## the containerd that the tests of the plugin run with
	MULLION_REQUIRE=1 $(GO) test -count=1 -timeout 20m -run '^TestBuild$$' ./internal/containerdtest

kill-test: ## plugin and containerd killed 200 times
	scripts/kill-test

release: ## everything of a release, in dist/, from any commit
	scripts/release -snapshot -o dist

test-release: ## the same, and everything in it used
	scripts/test-release

man: build
	bin/mullion man out/man1

ci:
	.ci/run

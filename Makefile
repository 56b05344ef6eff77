# What make knows of this project: "make help".
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BUILD    = CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
TOOL     = go tool -modfile=tools/go.mod

# The race detector needs a C compiler.
RACE := $(if $(shell command -v $$(go env CC)),-race)

# Where make run listens.
LISTEN       ?= 127.0.0.1:8080
ADMIN_LISTEN ?= 127.0.0.1:8081

.PHONY: help build run demo-once test check fuzz bench bench-identity test-vllm test-vllm-ranks test-clients test-endurance test-deploy image-root image clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/tether, one static binary
	$(BUILD) -o bin/tether .

run: build ## show tether at work over simulated servers, until Ctrl-C
	bin/tether demo --listen $(LISTEN) --admin-listen $(ADMIN_LISTEN)

demo-once: build ## show simulated servers with and without affinity, side by side (25 s)
	bin/tether demo --once

# The tests in e2e drive the binary from outside: with the race detector they would only compile the clients longer. Those in
# bench are one goroutine.
test: ## run all tests, with the race detector where there is a C compiler
	@$(if $(RACE),,echo "no C compiler found: the tests run without the race detector")
	CGO_ENABLED=$(if $(RACE),1,0) go test $(RACE) -timeout 10m $$(go list ./... | grep -v -e /e2e -e /bench)
	CGO_ENABLED=0 go test -timeout 10m ./e2e/... ./bench/...

test-deploy: ## check the Dockerfile and what is in deploy/
	cd deploy && go test -timeout 10m ./...

check: ## format, lint, tidy, known vulnerabilities
	$(TOOL) golangci-lint run ./...
	go mod tidy -diff
	go vet ./...
	GOOS=darwin go vet ./...
	cd deploy && go tool -modfile=../tools/go.mod golangci-lint run ./... && go mod tidy -diff && go vet ./... && GOOS=darwin go vet ./...
	@out=$$($(TOOL) govulncheck ./... 2>&1); case $$? in \
	  0) echo "govulncheck: no known vulnerability" ;; \
	  3) echo "$$out"; exit 1 ;; \
	  *) echo "govulncheck: skipped, its database does not answer" ;; \
	esac

# Before 1.27, Go at times fails a target whose time is up with nothing but "context deadline exceeded" (golang/go#75804). A real
# finding says more than that one line.
FUZZTIME ?= 5s
fuzz: ## run every fuzz target for FUZZTIME (5s)
	@set -e; go list -f '{{.Dir}}' ./... | while read -r dir; do \
	  grep -ohE '^func Fuzz[A-Za-z0-9]+' "$$dir"/*_test.go 2>/dev/null | cut -c6- | while read -r target; do \
	    failed=; out=$$(go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$dir" 2>&1) || failed=yes; \
	    echo "$$out"; \
	    if [ -n "$$failed" ]; then \
	      said=$$(echo "$$out" | sed '1,/^--- FAIL: /d; /^FAIL/,$$d'); \
	      [ "$$said" = "    context deadline exceeded" ] || exit 1; \
	      echo "fuzz: $$target has run its time, and found nothing"; \
	    fi; done; done

bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...

bench-identity: ## print the scorecard of session identity, and fail where a goal is missed
	go run ./bench/identity

test-vllm: ## run the tests against two real vLLM servers on the CPU, which it installs (6 GB, python3)
	e2e/vllm/servers.sh 2 go test -count=1 -timeout 10m -v ./e2e/vllm

test-vllm-ranks: ## run the test against one real vLLM server with two data-parallel ranks
	VLLM_RANKS=2 e2e/vllm/servers.sh 1 go test -count=1 -timeout 10m -v -run TestRanksOfOneServer ./e2e/vllm

test-endurance: ## attack the binary with thousands of clients that only take, and time the others (2 min, ulimit -n 13500)
	CGO_ENABLED=0 go test -count=1 -timeout 5m -run Endurance -v ./e2e/endurance -full

test-clients: ## run the official clients for Node, Python and Go, which it installs (npm, python3)
	e2e/clients/install.sh go test -count=1 -timeout 10m -v ./e2e/clients

# The image's files, and the only list of them: the Dockerfile copies this folder, and e2e/image runs it in an empty root.
IMAGE_ROOT = bin/image
CA_BUNDLE  ?= $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem))
image-root: ## assemble the image's files in bin/image
	$(if $(CA_BUNDLE),,$(error no CA certificates found: install ca-certificates, or say CA_BUNDLE=FILE))
	rm -rf $(IMAGE_ROOT)
	mkdir -p $(IMAGE_ROOT)/etc/tether $(IMAGE_ROOT)/etc/ssl/certs
	$(BUILD) -o $(IMAGE_ROOT)/tether .
	cp deploy/image/config.yaml $(IMAGE_ROOT)/etc/tether/config.yaml
	cp $(CA_BUNDLE) $(IMAGE_ROOT)/etc/ssl/certs/ca-certificates.crt
	chmod -R u=rwX,go=rX $(IMAGE_ROOT)

# BuildKit is what knows the target's platform; engines before 23 have it but do not use it unasked.
IMAGE       ?= tether
IMAGE_FLAGS ?=
image: ## build the container image tether:VERSION (IMAGE=, IMAGE_FLAGS="--platform linux/arm64")
	DOCKER_BUILDKIT=1 docker build --build-arg VERSION=$(VERSION) -t $(IMAGE):$(VERSION) -t $(IMAGE):latest $(IMAGE_FLAGS) .

clean: ## remove what was built
	rm -rf bin

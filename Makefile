# "make help" lists the targets.
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BUILD    = CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
TOOL     = go tool -modfile=tools/go.mod

# The race detector needs a C compiler.
RACE := $(if $(shell command -v $$(go env CC)),-race)

# The addresses of make run.
LISTEN       ?= 127.0.0.1:8080
ADMIN_LISTEN ?= 127.0.0.1:8081

# The tree that make shape measures.
DIR ?= .

.PHONY: help build run demo-once test test-uring test-deploy test-valkey test-clients test-browser test-traces test-vllm test-vllm-evictions test-vllm-ranks test-endurance test-kubernetes test-logs chaos chaos-compare check shape fuzz bench bench-identity bench-load bench-compare image-root image deb clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/tether, one static binary
	$(BUILD) -o bin/tether .

run: build ## run tether in front of simulated servers, until Ctrl-C
	bin/tether demo --listen $(LISTEN) --admin-listen $(ADMIN_LISTEN)

demo-once: build ## show simulated servers with and without affinity, side by side (25 s)
	bin/tether demo --once

# The libraries are compiled twice: with the race detector, and without it for tests that the detector does not serve. Those are
# e2e, which drives the binary from outside, and ring, session/shared and bench, whose simulations share nothing. The second compilation has the flags
# of make build, which shares it. wire and proxy come first because they take longest. go vet is a part of make check.
#
# The proxy is tested over each of its engines: with the race detector over epoll, and then over goroutines and io_uring. Most tests of the second
# compilation wait more than they compute, so several packages run at a time, and the proxy over the other engines beside them.
# Allocations of session/identity can be counted without the detector only: with it, a sync.Pool forgets some of what it gets.
#
# At its end, a process with the race detector waits for reports of its other threads: 1 s, unless GORACE says less. The tests
# start about a hundred processes. Tests that wait are parallel, eight at a time on however few cores.
TEST_RACE  = GORACE=atexit_sleep_ms=20 CGO_ENABLED=$(if $(RACE),1,0) go test $(RACE) -vet=off -parallel 8 -timeout 10m
# Without -count=1, go test would repeat a result that it kept, although the binary or a file of another module is new.
TEST_PLAIN = CGO_ENABLED=0 go test -trimpath -vet=off -count=1 -timeout 10m

test: ## run the tests, with the race detector if there is a C compiler; the targets below run those that need more
	@$(if $(RACE),,echo "no C compiler found: the tests run without the race detector")
	$(TEST_RACE) -p 3 ./wire ./proxy ./app $$(go list ./... | grep -v -e /e2e -e /bench -e /ring$$ -e /session/shared$$)
	$(TEST_PLAIN) -run Allocat\|BadInput ./session/identity
	$(TEST_PLAIN) -run Interleavings ./session
	$(TEST_PLAIN) -run '^(TestFatesAreTrue|TestConversationsStay)$$' ./app
	(for engine in go uring; do TETHER_PROXY_ENGINE=$$engine $(TEST_PLAIN) -parallel 8 ./proxy || exit 1; done) & beside=$$!; failed=; \
	  $(TEST_PLAIN) -p 3 -parallel 4 ./e2e ./e2e/endurance ./e2e/replicas ./ring ./session/shared ./bench/... ./e2e/... || failed=yes; \
	  wait $$beside && [ -z "$$failed" ]
	cd tools && $(TEST_PLAIN) ./...

test-uring: ## test the proxy over io_uring with the race detector, and the vectors of smuggling (2 min)
	TETHER_PROXY_ENGINE=uring $(TEST_RACE) ./proxy
	TETHER_PROXY_ENGINE=uring $(TEST_PLAIN) ./e2e/vectors

test-deploy: ## test the Dockerfile and the files in deploy/
	cd deploy && $(TEST_PLAIN) ./...

# LINT lints a module. Its flags are those of the tests, which share what is compiled. tools is not tidied: that would download what the
# tests of the linters need.
MODULES = . deploy e2e/clients e2e/browser
LINT    = CGO_ENABLED=0 GOFLAGS="$$(go env GOFLAGS) -trimpath" go tool -modfile=$(CURDIR)/tools/go.mod golangci-lint run ./...

check: ## format, lint, vet, tidy, known vulnerabilities
	@set -e; for module in $(MODULES); do (set -x; cd $$module; $(LINT); go mod tidy -diff); done
	cd tools && $(LINT)
	GOOS=darwin go vet ./...
	cd deploy && GOOS=darwin go vet ./...
	@out=$$($(TOOL) govulncheck ./... 2>&1); case $$? in \
	  0) echo "govulncheck: no known vulnerability" ;; \
	  3) echo "$$out"; exit 1 ;; \
	  *) echo "govulncheck: skipped, its database does not answer" ;; \
	esac

shape: ## print how much of the source a reader must hold in mind, and fail if it exceeds a limit (DIR=.)
	@cd tools && go run ./shape $(abspath $(DIR))

# Before 1.27, Go sometimes fails a target whose time is up with "context deadline exceeded" alone (golang/go#75804). A real finding
# has more than this line.
FUZZTIME ?= 5s
fuzz: ## run every fuzz target for FUZZTIME (5s)
	@set -e; go list -f '{{.Dir}}' ./... | while read -r dir; do \
	  grep -ohE '^func Fuzz[A-Za-z0-9]+' "$$dir"/*_test.go 2>/dev/null | cut -c6- | while read -r target; do \
	    failed=; out=$$(go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) "$$dir" 2>&1) || failed=yes; \
	    echo "$$out"; \
	    if [ -n "$$failed" ]; then \
	      said=$$(echo "$$out" | sed '1,/^--- FAIL: /d; /^FAIL/,$$d'); \
	      [ "$$said" = "    context deadline exceeded" ] || exit 1; \
	      echo "fuzz: $$target found nothing in its time"; \
	    fi; done; done

# Recorder and Tracing compare two proxies in rounds for minutes: go test -run '^$$' -bench Recorder -benchtime 1x ./app
BENCHTIME ?= 100ms
bench: ## run the benchmarks of all steps of a request (1 min, BENCHTIME=100ms)
	go test -run '^$$' -bench . -skip Recorder\|Tracing -benchmem -benchtime $(BENCHTIME) $$(go list ./... | grep -v -e /e2e -e /bench/)

bench-identity: ## print the scorecard of session identity, and fail if it misses a goal
	go run ./bench/identity

# The conversations are generated, except for those of a trace that MOONCAKE names, and for the agents if aiperf is installed.
MOONCAKE ?=
AGENTS    = $(if $(shell command -v aiperf),bin/agents)
bench-load: ## compare policies of placement on traces in simulated time, and fail if a goal is missed (2 min, MOONCAKE=FILE)
	$(if $(AGENTS),rm -rf $(AGENTS) && aiperf synthesize agentic-code --num-sessions 1000 --seed 1 --output $(AGENTS))
	go run ./bench/load -mooncake '$(MOONCAKE)' $(if $(AGENTS),-agents $(AGENTS)/*/dataset.jsonl)

# The peers that are not installed are named and skipped. HAPROXY_BIN, VLLM_ROUTER_BIN, SMG_BIN and OLLA_BIN name the programs of peers.
COMPARE ?=
bench-compare: build ## compare tether's cost with HAProxy and nginx, if installed (COMPARE="-rows sse500,json32 -rounds 3")
	go run ./bench/compare -tether bin/tether $(COMPARE)

# The clients' libraries take longer to compile than all of tether, so their tests are a module of their own.
TEST_CLIENTS = $(TEST_PLAIN) -v

test-clients: ## test with the official clients for Go, Node and Python, which it installs (npm, python3; Go alone without npm)
	cd e2e/clients && $(if $(shell command -v npm),./install.sh env) $(TEST_CLIENTS) .

# The screenshots of the README: make test-browser PICTURES=docs/img
PICTURES ?= bin/pictures
test-browser: ## test the status page in a real Chromium, which must be there, with axe-core if there is npm (PICTURES=bin/pictures)
	cd e2e/browser && $(if $(shell command -v npm),./axe.sh env) $(TEST_PLAIN) -v . -pictures $(abspath $(PICTURES))

test-traces: ## test traces with the receiver of the OpenTelemetry collector
	cd e2e/traces && $(TEST_PLAIN) ./...

test-valkey: ## test the session store with a Valkey server, which it installs (python3)
	session/store/storetest/valkey.sh env $(TEST_PLAIN) ./session/store
	session/store/storetest/valkey.sh env $(TEST_PLAIN) -run 'OneServer|Failover' ./e2e/replicas

test-vllm: ## test with two real vLLM servers on the CPU, which it installs (6 GB, python3)
	cd e2e/clients && vllm/servers.sh 2 env $(TEST_CLIENTS) ./vllm

test-vllm-evictions: ## test with one real vLLM server whose KV cache is too small
	cd e2e/clients && VLLM_BLOCKS=256 vllm/servers.sh 1 env $(TEST_CLIENTS) -run Evictions ./vllm

test-vllm-ranks: ## test with one real vLLM server that has two data-parallel ranks
	cd e2e/clients && VLLM_RANKS=2 vllm/servers.sh 1 env $(TEST_CLIENTS) -run OfOneServer ./vllm

# The API server accepts no loopback addresses as endpoints, so the servers get addresses of a network namespace of their own.
test-kubernetes: ## test discovery with a real kube-apiserver, which it compiles (a quarter of an hour the first time, as root on Linux)
	cd e2e/kubernetes && go test -c -o ../../bin/kubernetes/kubernetes.test .
	cd e2e/kubernetes && unshare --net sh -ec 'ip link set lo up; for n in 1 2 3 4; do ip addr add 10.77.0.$$n/32 dev lo; done; exec ../../bin/kubernetes/kubernetes.test -test.v'

test-logs: ## stall both logs under load, and compare with a tether whose logs are read (90 s)
	$(TEST_PLAIN) -run StallUnderLoad -v ./e2e/logs -stall 60s

# SEED repeats the faults and the clients of an earlier run; what happens in a moment still differs a little. CHAOS=30m makes a longer run.
CHAOS ?= 3m
SEED  ?= 0
chaos: build ## break everything around tether while 2,000 conversations go on, and judge what was seen (CHAOS=3m, SEED=)
	go build -o bin/chaos ./e2e/chaos
	bin/chaos -tether bin/tether -time $(CHAOS) -seed $(SEED)

# VLLM_ROUTER_BIN and SMG_BIN name the programs of two peers; HAProxy is found by itself. Those that are absent are left out.
PEERS ?= tether,haproxy,vllm-router,smg
chaos-compare: build ## print what tether and other proxies lose when servers die, hang, cut and restart, and clients leave (5 min for each proxy)
	go build -o bin/chaos ./e2e/chaos
	bin/chaos -tether bin/tether -peers $(PEERS)

test-endurance: ## measure thousands of clients that are idle, slow or deaf, and 10,000 streams, over each engine (12 min, ulimit -n 13500)
	$(TEST_PLAIN) -timeout 30m -run Endurance -v ./e2e/endurance -full

# The files of the image. This is the only list of them: the Dockerfile copies the folder, and e2e/image runs it in an empty root.
IMAGE_ROOT = bin/image
CA_BUNDLE  ?= $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem))
image-root: ## assemble the image's files in bin/image
	$(if $(CA_BUNDLE),,$(error no CA certificates found: install ca-certificates, or set CA_BUNDLE=FILE))
	rm -rf $(IMAGE_ROOT)
	mkdir -p $(IMAGE_ROOT)/etc/tether $(IMAGE_ROOT)/etc/ssl/certs
	$(BUILD) -o $(IMAGE_ROOT)/tether .
	cp deploy/image/config.yaml $(IMAGE_ROOT)/etc/tether/config.yaml
	cp $(CA_BUNDLE) $(IMAGE_ROOT)/etc/ssl/certs/ca-certificates.crt
	chmod -R u=rwX,go=rX $(IMAGE_ROOT)

# Only BuildKit knows the platform of the target. Engines before version 23 have BuildKit, but use it only with this variable.
IMAGE       ?= tether
IMAGE_FLAGS ?=
image: ## build the container image tether:VERSION (IMAGE=, IMAGE_FLAGS="--platform linux/arm64")
	DOCKER_BUILDKIT=1 docker build --build-arg VERSION=$(VERSION) -t $(IMAGE):$(VERSION) -t $(IMAGE):latest $(IMAGE_FLAGS) .

# The package has the unit with the path of the binary in Debian. A version such as v1.2.0-3-gabcdef becomes 1.2.0+3-gabcdef, and a commit
# without a version 0~abcdef. Later versions of nfpm need a module that the proxy of Go modules does not have.
NFPM = go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4
ARCH ?= $(shell go env GOARCH)
deb: ## build the Debian package in bin/ (ARCH=arm64)
	rm -rf bin/deb
	mkdir -p bin/deb
	GOOS=linux GOARCH=$(ARCH) $(BUILD) -o bin/deb/tether .
	sed 's|/usr/local/bin/tether|/usr/bin/tether|' deploy/systemd/tether.service > bin/deb/tether.service
	ARCH=$(ARCH) DEB_VERSION=$$(echo '$(VERSION)' | sed -E 's/^v//; /^[0-9]+\.[0-9]/!s/^/0~/; s/-([0-9]+-g)/+\1/') \
	  $(NFPM) package --config deploy/deb/nfpm.yaml --packager deb --target bin/

clean: ## remove bin/
	rm -rf bin

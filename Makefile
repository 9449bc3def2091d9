SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MODULES = $(shell scripts/modules.sh)
SENDTIP = .bin/sendtip

.PHONY: help up demo service generate verify lint test test-authz test-clock test-contract test-kafka test-mutants test-scaffold test-storm e2e bench bench-ledger check tidy build reset clean

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

build: ## build the one binary into .bin/sendtip
	@scripts/setup.sh go
	@echo "building sendtip (the first build compiles every dependency: a few minutes on a small machine)"
	@go build -o $(SENDTIP) ./cmd/sendtip

up: build ## start the whole platform on this machine and print its addresses
	@exec $(SENDTIP) up

demo: build ## run the customers' journey on the running platform (starts one if there is none)
	@$(SENDTIP) demo

service: ## write a new service, its tests and its registrations: make service NAME=x
	@test -n "$(NAME)" || { echo "usage: make service NAME=x"; exit 2; }
	@scripts/setup.sh tools
	@go run ./test/scaffold "$(NAME)"
	@gofmt -w cmd/sendtip/platform/services.go services/$(NAME) sql/$(NAME)
	@scripts/generate.sh
	@scripts/tidy.sh 2>&1 | { grep -vE '^go: (found|finding|downloading)' || true; }
	@go build ./cmd/sendtip/... ./services/$(NAME)/...
	@echo "services/$(NAME) is there and builds. Commit it, then make check; its README says where to change what"

generate: ## generate servers, clients, event payloads and database code from openapi/ and sql/
	@scripts/setup.sh tools
	@scripts/generate.sh

verify: generate ## generate again and fail on any difference; build every module on its own
	@git diff --exit-code --stat -- generated docs '*README.md' || { echo "generated code or a table of settings is stale: commit what make generate made"; exit 1; }
	@test -z "$$(git status --porcelain -- generated)" || { echo "generated/ has files that are not committed"; exit 1; }
	@scripts/build-alone.sh

lint: ## lint contracts (and compare them with main) and code
	@scripts/setup.sh contract
	@scripts/lint-contracts.sh
	@for m in $(MODULES); do (cd $$m && $(CURDIR)/.bin/golangci-lint run --config $(CURDIR)/.golangci.yaml ./...) || exit 1; done

test: ## run every test of every module, against real PostgreSQL, Kafka and Redis protocols
	@scripts/setup.sh tools postgres race
	@slow=$$(scripts/packages.sh slow) && race=$$(scripts/packages.sh race) && scripts/test.sh -shuffle=on $$slow -- -race -shuffle=on $$race

test-authz: ## ask every operation as everybody: the authorization matrix
	@scripts/setup.sh tools postgres
	@SENDTIP_AUTHZ_REPORT=$(CURDIR)/.cache/authz scripts/test.sh ./test/authz/... && cat .cache/authz

test-clock: ## run all journeys around the ends of a month, of 29 February and of a year
	@scripts/setup.sh tools postgres
	@for at in 2027-04-30T23:59:00+03:00 2028-02-29T23:59:00+03:00 2024-12-31T23:59:00+03:00; do \
		SENDTIP_TEST_CLOCK=$$at scripts/test.sh ./test/e2e/... || exit 1; done

test-contract: ## hold the running platform against its served contract (Schemathesis; SEED=, SECONDS_OF=), and make clients of it
	@scripts/setup.sh tools contract python postgres
	@go run ./test/fuzz -contract .cache/served.json $(if $(SEED),-seed $(SEED)) $(if $(SECONDS_OF),-seconds $(SECONDS_OF))
	@scripts/test-clients.sh .cache/served.json

test-storm: ## let M-Pesa misbehave and services be killed under 5,000 payments, and compare both sides (PAYMENTS=, SEED=)
	@scripts/setup.sh go postgres
	@go run ./test/storm $(if $(PAYMENTS),-payments $(PAYMENTS)) $(if $(SEED),-seed $(SEED))

test-kafka: ## run the event tests and the journey on a real Apache Kafka broker
	@scripts/setup.sh tools postgres kafka
	@scripts/test.sh -tags=kafka ./embedded/apachekafka/... ./kit/event/...
	@scripts/test.sh -tags=kafka -run 'Access|Tool' ./cmd/sendtip/platform
	@scripts/test.sh -tags=kafka -run Kafka ./test/e2e/...

test-mutants: ## plant bugs, described ones and drawn ones (SEED=), and list those that no test sees; hours, RESUME=1 goes on
	@scripts/setup.sh tools postgres
	@go run ./test/mutants $(if $(SEED),-seed $(SEED)) $(if $(RESUME),-resume)

test-scaffold: ## write a service in a clean clone, build it on its own and run its tests
	@scripts/setup.sh tools postgres
	@scripts/scaffold.sh

e2e: ## run the end-to-end journeys only
	@scripts/setup.sh tools postgres
	@scripts/test.sh ./test/...

bench: ## measure performance and print the table for docs/performance.md
	@scripts/setup.sh go postgres
	@go run ./test/bench

bench-ledger: ## measure the ledger against pgbench and COPY, and print the table for docs/ledger-performance.md
	@scripts/setup.sh go postgres
	@go run ./test/bench/ledger

check: verify lint test ## everything that CI checks, except the real Kafka broker

tidy: ## tidy every module and keep shared versions equal
	@scripts/tidy.sh

reset: build ## delete this folder's platform with accounts and logs; its keys move to a folder next to it (the next make up starts from scratch)
	@$(SENDTIP) reset --yes

clean: ## remove built programs and caches (data in .sendtip stays)
	@rm -rf .bin .cache node_modules

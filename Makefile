# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

SHELL := /usr/bin/env bash -o pipefail
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The image that is built and deployed, and the version that it reports.
IMG ?= jackstaff/manager:dev
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
CONTAINER_TOOL ?= docker

# The platforms of `make image`, and whether it pushes to the registry that IMG names.
PLATFORMS ?= linux/amd64,linux/arm64
PUSH ?=

# The manifests that `make run` applies. Empty for none.
SAMPLES ?= config/samples

BIN := $(CURDIR)/bin
TOOLS := $(BIN)/tools
CONTROLLER_GEN := $(TOOLS)/controller-gen
LINTER := $(TOOLS)/golangci-lint-kube-api-linter

# kube-apiserver, etcd and kubectl: those of KUBEBUILDER_ASSETS where it is set, else built from source once.
ASSETS := $(or $(KUBEBUILDER_ASSETS),$(BIN)/k8s)
KUBECTL := $(ASSETS)/kubectl

# kube-controller-manager, which nothing but `make hostile` needs.
CONTROLLER_MANAGER := $(BIN)/controller-manager/kube-controller-manager

# Every Go module below the root has its own go.mod.
MODULES = $(shell git ls-files --cached --others --exclude-standard -- '*/go.mod' | xargs -r dirname)
TEST_MODULES = $(filter test/%,$(MODULES))

##@ Use

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Run the operator on a control plane of its own, with the samples. `make run SAMPLES=` starts empty.
	@$(MAKE) -j2 control-plane programs
	@echo "Stage 3 of 3: starting"
	@exec $(BIN)/run/run -assets "$(ASSETS)" -manager $(BIN)/manager -samples "$(SAMPLES)"

# One go build for all programs, so that each package is compiled once, while the control plane is fetched or built.
PROGRAMS := ./cmd/manager ./cmd/jackstaff ./hack/run
.PHONY: programs
programs:
	@mkdir -p $(BIN)/run
	@CGO_ENABLED=0 STAGE="2 of 3" PACKAGES="$(PROGRAMS)" hack/progress.sh "Building the manager, jackstaff and make run" \
		go build -v -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/programs/ $(PROGRAMS)
	@mv -f $(BIN)/programs/manager $(BIN)/programs/jackstaff $(BIN)/ && mv -f $(BIN)/programs/run $(BIN)/run/run

.PHONY: build
build: ## Build the manager and the command line into bin.
	@CGO_ENABLED=0 hack/progress.sh "Building the manager and jackstaff" go build -v -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/ ./cmd/manager ./cmd/jackstaff

.PHONY: install
install: control-plane ## Install the Kinds on the cluster of the current KUBECONFIG.
	$(KUBECTL) apply --server-side -k config/crd

.PHONY: uninstall
uninstall: control-plane ## Remove the Kinds, and with them every flag, from the cluster of the current KUBECONFIG.
	$(KUBECTL) delete --ignore-not-found -k config/crd

.PHONY: deploy
deploy: control-plane ## Install the operator, with IMG, on the cluster of the current KUBECONFIG.
	$(KUBECTL) kustomize config/default | sed 's|image: jackstaff/manager:dev$$|image: $(IMG)|' | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: control-plane ## Remove the operator, the Kinds and every flag from the cluster of the current KUBECONFIG.
	$(KUBECTL) delete --ignore-not-found -k config/default

.PHONY: docker-build
docker-build: ## Build the image IMG.
	$(CONTAINER_TOOL) build --build-arg VERSION=$(VERSION) -t $(IMG) .

.PHONY: image
image: ## Pack the image IMG for PLATFORMS into bin/image.tar, and what it is made of into bin/sbom.json, without a container engine. PUSH=1 pushes it.
	@VERSION="$(VERSION)" PLATFORMS="$(PLATFORMS)" hack/image/build.sh . ./cmd/manager "$(IMG)" $(BIN)/image.tar -sbom $(BIN)/sbom.json $(if $(PUSH),-push)

# The platforms of the command line in `make release`.
CLI_PLATFORMS ?= linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64
RELEASE_IMG = $(if $(filter file,$(origin IMG)),jackstaff/manager:$(VERSION),$(IMG))

.PHONY: release
release: control-plane ## Make everything of the release VERSION in dist: image, command line, chart, install.yaml, krew manifest, SBOM, notes and checksums.
	@KUBECTL=$(KUBECTL) VERSION="$(VERSION)" IMG="$(RELEASE_IMG)" PLATFORMS="$(PLATFORMS)" CLI_PLATFORMS="$(CLI_PLATFORMS)" hack/release/release.sh

##@ Develop

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Generate the methods and apply configurations of the Kinds, the reference of the command line and the table of packages.
	cd api && $(CONTROLLER_GEN) object:headerFile=../hack/boilerplate.go.txt applyconfiguration:headerFile=../hack/boilerplate.go.txt paths=./v1alpha1/...
	go run ./hack/clidocs docs/cli
	go run ./hack/architecture

.PHONY: manifests
manifests: $(CONTROLLER_GEN) ## Generate CRDs, their JSON Schemas, the manager's role and the webhook configurations.
	cd api && $(CONTROLLER_GEN) crd paths=./v1alpha1/... output:crd:dir=../config/crd/bases
	go run ./hack/schemas config/crd/bases docs/schemas
	$(CONTROLLER_GEN) rbac:roleName=manager webhook paths=./controllers/... paths=./webhook/... output:rbac:dir=config/rbac output:webhook:dir=config/webhook

.PHONY: chart
chart: control-plane ## Make the templates of the Helm chart from config.
	@go run ./hack/chart $(KUBECTL) charts/jackstaff

.PHONY: dist
dist: control-plane ## Write dist/install.yaml, which installs the operator with IMG.
	@mkdir -p dist
	$(KUBECTL) kustomize config/default | sed 's|image: jackstaff/manager:dev$$|image: $(IMG)|' > dist/install.yaml

.PHONY: installation
installation: control-plane ## Run the tests of the chart and of what GitOps tools see.
	cd test/gitops && KUBEBUILDER_ASSETS=$(ASSETS) go test ./...
	cd test/chart && KUBEBUILDER_ASSETS=$(ASSETS) go test ./...

.PHONY: fmt
fmt: $(LINTER) ## Format all Go code.
	gofmt -w -s $$(git ls-files --cached --others --exclude-standard -- '*.go')

.PHONY: lint
lint: $(LINTER) ## Lint.
	@for module in . api sdk hack/image $(TEST_MODULES); do echo "lint $$module"; (cd $$module && $(LINTER) run --config $(CURDIR)/.golangci.yml) || exit; done

# The linter vets the same code, and to link debug information into some forty programs takes minutes.
test hostile conformance installation: export GOFLAGS := $(strip $(GOFLAGS) -vet=off -ldflags=-s)

.PHONY: test
test: control-plane ## Run all tests, on a control plane of their own.
	KUBEBUILDER_ASSETS=$(ASSETS) go test -race -timeout 20m ./...
	cd sdk && go test -race ./...
	cd api && go test ./...
	cd hack/image && go test ./...
	cd test/rest && KUBEBUILDER_ASSETS=$(ASSETS) go test -race -timeout 20m ./...
	@$(MAKE) hostile conformance installation

.PHONY: hostile
hostile: control-plane $(CONTROLLER_MANAGER) ## Try what docs/security.md says nobody can do, as each account, beside a real kube-controller-manager.
	cd test/hostile && KUBEBUILDER_ASSETS=$(ASSETS) KUBE_CONTROLLER_MANAGER=$(CONTROLLER_MANAGER) go test -timeout 20m ./...

.PHONY: snapshot
snapshot: control-plane ## Restore an older snapshot of etcd under a running manager, which takes a minute.
	KUBEBUILDER_ASSETS=$(ASSETS) go test -tags snapshot ./test/install -ginkgo.focus 'older snapshot of etcd'

GOVULNCHECK_VERSION := v1.9.0
.PHONY: vulnerabilities
vulnerabilities: ## Check the modules with govulncheck, or where its data cannot be reached list newer versions of direct dependencies.
	@hack/vulnerabilities.sh $(GOVULNCHECK_VERSION)

.PHONY: conformance
conformance: control-plane ## Run the tests against the real clients of the published formats, of OFREP and of flagd.
	@KUBEBUILDER_ASSETS=$(ASSETS) hack/conformance.sh
	@KUBEBUILDER_ASSETS=$(ASSETS) hack/posthog.sh
	@KUBEBUILDER_ASSETS=$(ASSETS) hack/openapi.sh

.PHONY: testbed
testbed: ## Count the scenarios of flagd's testbed 3.9 that imported flags pass, of which 110 must. TESTBED is a checkout of it.
	@test -d "$(TESTBED)/evaluator/gherkin" || { echo "$@: TESTBED=$(TESTBED) is no checkout of github.com/open-feature/flagd-testbed"; exit 2; }
	cd test/conformance && go test . -count=1 -v -run 'TestImportedTestbed$$' -testbed "$(abspath $(TESTBED))/evaluator"

.PHONY: e2e
e2e: control-plane ## Install the operator on the cluster of the current KUBECONFIG, use it, measure how fast an edit arrives in pods, and remove it.
	@VERSION="$(VERSION)" KUBECTL="$(KUBECTL)" test/e2e/run.sh

.PHONY: bench
bench: control-plane ## Measure evaluating, next to the engines of other systems, admission, publishing, serving and compiling.
	cd test/bench/peers && go test ./... && go run .
	KUBEBUILDER_ASSETS=$(ASSETS) go run ./test/bench/admission
	KUBEBUILDER_ASSETS=$(ASSETS) go run ./test/bench/publishing
	KUBEBUILDER_ASSETS=$(ASSETS) go run ./test/bench/tenants
	KUBEBUILDER_ASSETS=$(ASSETS) go run ./test/bench/ofrep
	KUBEBUILDER_ASSETS=$(ASSETS) go run ./test/bench/rest
	go test -run '^$$' -bench . -benchmem ./internal/...
	cd sdk && go test -run '^$$' -bench . -benchmem ./...

.PHONY: verify
verify: control-plane $(CONTROLLER_GEN) $(LINTER) ## Check that generated files are fresh, the code is clean and the manifests build.
	@KUBECTL=$(KUBECTL) hack/verify.sh $(MODULES)

##@ Tools

.PHONY: control-plane
control-plane: ## Download kube-apiserver, etcd and kubectl into bin/k8s once, or build them. CONTROL_PLANE=download or build forces one.
ifdef KUBEBUILDER_ASSETS
	@true
else
	@STAGE="$(if $(filter run,$(MAKECMDGOALS))$(filter programs,$(MAKECMDGOALS)),1 of 3)" hack/controlplane/get.sh $(BIN)/k8s $(CONTROL_PLANE)
endif

# It is built again when its version changes.
$(CONTROLLER_MANAGER): hack/controlplane/go.mod hack/controlplane/controller-manager.sh
	@hack/controlplane/controller-manager.sh $(dir $@)
	@touch $@

# The tools are built again when their versions change.
$(CONTROLLER_GEN) $(LINTER): $(TOOLS)/.built
$(TOOLS)/.built: hack/tools/go.mod
	@mkdir -p $(TOOLS)
	@cd hack/tools && GOBIN=$(TOOLS) ../progress.sh "Building the tools" go install -v tool
	@touch $@

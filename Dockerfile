# Copyright The Jackstaff Authors.
# SPDX-License-Identifier: Apache-2.0

# The same image as `make image` packs without a container engine, for the platform of whoever builds. .dockerignore says what it gets.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY api/go.mod api/go.sum api/
COPY sdk/go.mod sdk/go.sum sdk/
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=dev
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /manager ./cmd/manager

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="Jackstaff" \
      org.opencontainers.image.source="https://github.com/jackstaff-dev/jackstaff" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]

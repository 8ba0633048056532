# One image for every worker and every command: `docker run tierline run orders`, `docker run tierline verify`.
# The local stack is not in it; servers are named by TIERLINE_… variables (docs/architecture.md).
FROM python:3.11-slim AS build
WORKDIR /app
RUN python -m venv /app/.venv && /app/.venv/bin/pip install --no-cache-dir 'uv>=0.9,<1'
COPY requirements.lock pyproject.toml ./
RUN /app/.venv/bin/uv pip sync --no-cache --compile-bytecode --python /app/.venv/bin/python --require-hashes requirements.lock
COPY . .
RUN /app/.venv/bin/uv pip install --no-cache --python /app/.venv/bin/python --no-deps --no-build-isolation --editable . \
 && /app/.venv/bin/python -m compileall -q tierline streams schemas projections deadletter

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /app tierline
WORKDIR /app
COPY --from=build --chown=root:root /app /app
USER 10001
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
ENTRYPOINT ["tierline"]

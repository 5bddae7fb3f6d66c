# Causa's own image: worker, topics, publisher and the other commands. Kafka and Triton run in theirs.
FROM python:3.11.14-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY . .
# In place, because the schemas and models beside the package are found from its folder.
RUN pip install --require-hashes --requirement requirements.lock && pip install --no-deps --editable . \
    && python -m compileall -q stream

FROM python:3.11.14-slim-bookworm
# A volume takes its owner from the folder that it is first put over.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin causa \
    && install --directory --owner causa --mode 0700 /data/keys /data/surveillance /data/desk
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001:10001
CMD ["causa", "--help"]

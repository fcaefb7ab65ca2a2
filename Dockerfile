# The locked environment and the repository, for a user without rights:
#   docker build --tag cxr .                        (--build-arg TORCH=cpu: without CUDA, 1.5 GB in place of 6 GB)
#   docker run --rm --volume "$PWD/results:/opt/cxr/results" cxr
# makes the paper from the reference results; any other command may follow, and --gpus all before `cxr` lends it the GPUs.
FROM python:3.11.14-slim-bookworm

# DL3008: Debian keeps no older versions of a package, so that a pinned one soon cannot be installed.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends make libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/cxr
ARG TORCH=cuda
COPY Makefile requirements.lock pyproject.toml README.md LICENSE ./
COPY cxr cxr
RUN make setup PYTHON=python3.11 TORCH="$TORCH" && rm -rf /root/.cache
ENV PATH=/opt/cxr/.venv/bin:$PATH

COPY . .
RUN useradd --create-home --uid 1000 cxr && mkdir -p results && chown cxr . results
USER 1000
CMD ["snakemake", "--cores", "all", "--configfile", "config/reference.yaml"]

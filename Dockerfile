# syntax=docker/dockerfile:1
# One image for a machine file; the container fits itself to its host at boot (rootfs/usr/lib/machinegen/specialise.sh).
#
#   docker build --build-arg MACHINE_FILE=my-machine.yaml -t my-machine .
#   docker build --target sim -t machine-sim .            without CUDA and Python: stand-ins for the GPU services
#
# Only the last layers depend on the machine file. The heavy ones (Python packages, ComfyUI) depend on which programs it
# enables and on their versions: each takes its own directory of /programs, whose content changes with nothing else.

ARG BASE_IMAGE=pytorch/pytorch:2.7.1-cuda12.6-cudnn9-runtime
ARG SIM_BASE_IMAGE=debian:bookworm-slim
ARG NODE_IMAGE=node:20-bookworm-slim
ARG DOWNLOAD_IMAGE=debian:bookworm-slim

# The compiler, and the programs that run in a machine.
FROM ${NODE_IMAGE} AS compiler
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY schema schema
COPY templates templates
COPY rootfs rootfs
COPY generator generator
COPY runtime runtime
COPY examples examples
COPY build build
# The build refreshes what is derived from the schema, the documentation too.
RUN mkdir docs && npm run build

# What the machine file says: its tree, and a directory for each program that it needs.
FROM compiler AS tree
ARG MACHINE_FILE=examples/basic-machine.yaml
ARG MACHINE_GPUS=1
COPY ${MACHINE_FILE} /etc/machinegen/machine.yaml
COPY image/select-programs.mjs image/
RUN node dist/machinegen.cjs render /etc/machinegen/machine.yaml --out /tree --env --gpus "${MACHINE_GPUS}" \
 && node image/select-programs.mjs /tree /programs

# The same with stand-ins in the place of the services that need a GPU.
FROM tree AS sim-tree
RUN node dist/machinegen.cjs render /etc/machinegen/machine.yaml --out /sim-tree --env --simulate --gpus "${MACHINE_GPUS:-1}" \
 && node image/select-programs.mjs /sim-tree /sim-programs

FROM ${DOWNLOAD_IMAGE} AS s6-overlay
ARG S6_OVERLAY_VERSION=3.2.3.2
ARG S6_OVERLAY_BASE_URL=https://github.com/just-containers/s6-overlay/releases/download
ARG S6_OVERLAY_NOARCH_SHA256=5379750ed30a84bbd2e2dd74847ba6b5bd29cd0b2e3ea2ec58049b57eb2eda12
ARG S6_OVERLAY_X86_64_SHA256=e6befcc96a437a3831386ecfc51808c5d3e939dc5fe3c02ae9284599e8aa2408
ARG S6_OVERLAY_AARCH64_SHA256=b17f17a82e7a515c682a91edaf2ffdabb73f891981b6c1fd712115693a2f8b4c
COPY image/install-s6-overlay.sh /image/
RUN sh /image/install-s6-overlay.sh /s6-overlay

# Debian's packages, and Node from the image that compiled: the same version, without its package manager.
FROM ${BASE_IMAGE} AS programs
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_BREAK_SYSTEM_PACKAGES=1
COPY image/install-packages.sh /image/
COPY --from=tree /programs/packages /programs/packages
RUN sh /image/install-packages.sh /programs/packages
COPY --from=compiler /usr/local/bin/node /usr/local/bin/node

ARG COMFYUI_REPO=https://github.com/comfyanonymous/ComfyUI.git
ARG COMFYUI_REF=v0.3.64
COPY image/install-comfyui.sh image/torch-constraints.sh /image/
COPY --from=tree /programs/comfyui /programs/comfyui
RUN sh /image/install-comfyui.sh /programs/comfyui /opt/ComfyUI

ARG AUTOMATIC1111_REPO=https://github.com/AUTOMATIC1111/stable-diffusion-webui.git
ARG AUTOMATIC1111_REF=v1.10.1
COPY image/install-automatic1111.sh /image/
COPY --from=tree /programs/automatic1111 /programs/automatic1111
RUN sh /image/install-automatic1111.sh /programs/automatic1111 /opt/stable-diffusion-webui

ARG OLLAMA_VERSION=0.12.6
ARG OLLAMA_BASE_URL=https://github.com/ollama/ollama/releases/download
# Empty: the checksum that the release itself publishes is used.
ARG OLLAMA_SHA256=
COPY image/install-ollama.sh /image/
COPY --from=tree /programs/ollama /programs/ollama
RUN sh /image/install-ollama.sh /programs/ollama

FROM ${SIM_BASE_IMAGE} AS sim-programs
ENV DEBIAN_FRONTEND=noninteractive
COPY image/install-packages.sh /image/
COPY --from=sim-tree /sim-programs/packages /programs/packages
RUN sh /image/install-packages.sh /programs/packages
COPY --from=compiler /usr/local/bin/node /usr/local/bin/node

# A small machine to try: no GPU, no CUDA, no Python.
FROM sim-programs AS sim
COPY --from=s6-overlay /s6-overlay /
COPY rootfs /
COPY --from=compiler /build/dist /usr/lib/machinegen/compiler
COPY --from=sim-tree /etc/machinegen/machine.yaml /etc/machinegen/machine.yaml
COPY --from=sim-tree /sim-tree /
ENV MACHINEGEN_SIMULATE=1
# Why each value: docs/operations.md, "The settings of s6-overlay".
ENV S6_STAGE2_HOOK=/usr/lib/machinegen/specialise.sh \
    S6_RUNTIME_PROFILE=machine \
    S6_BEHAVIOUR_IF_STAGE2_FAILS=2 \
    S6_KILL_GRACETIME=100 \
    S6_CMD_WAIT_FOR_SERVICES_MAXTIME=0 \
    S6_VERBOSITY=1
LABEL org.opencontainers.image.title="machinegen simulated machine" \
      org.opencontainers.image.description="A GPU machine made by machinegen, with stand-ins in the place of the GPU services"
EXPOSE 80 9090
VOLUME /workspace
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["/run/machinegen/root/usr/lib/machinegen/healthcheck"]
ENTRYPOINT ["/init"]

# The production image; last, so that it is what a plain build gives.
FROM programs AS machine
ARG VERSION=0.1.0
ARG REVISION=unknown
COPY --from=s6-overlay /s6-overlay /
COPY rootfs /
COPY --from=compiler /build/dist /usr/lib/machinegen/compiler
COPY --from=tree /etc/machinegen/machine.yaml /etc/machinegen/machine.yaml
COPY --from=tree /tree /
ENV S6_STAGE2_HOOK=/usr/lib/machinegen/specialise.sh \
    S6_RUNTIME_PROFILE=machine \
    S6_BEHAVIOUR_IF_STAGE2_FAILS=2 \
    S6_KILL_GRACETIME=100 \
    S6_CMD_WAIT_FOR_SERVICES_MAXTIME=0 \
    S6_VERBOSITY=1
LABEL org.opencontainers.image.title="machinegen machine" \
      org.opencontainers.image.description="A GPU machine made by machinegen: supervised, proxied, observable" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
EXPOSE 80 9090
VOLUME /workspace
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=10m --retries=3 CMD ["/run/machinegen/root/usr/lib/machinegen/healthcheck"]
ENTRYPOINT ["/init"]

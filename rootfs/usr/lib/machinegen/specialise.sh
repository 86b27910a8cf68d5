#!/command/with-contenv sh
# S6_STAGE2_HOOK: fits the tree of the image to this host, before s6-rc compiles it: the real environment, the GPUs that
# are there. Where nothing differs nothing is written. A mistake ends the container with the compiler's findings.
#
#   MACHINEGEN_FILES     machine files, lowest layer first, separated by blanks; default: /etc/machinegen/machine.yaml
#   MACHINEGEN_SIMULATE  1: stand-ins in the place of the GPU services
#   MACHINEGEN_GPUS      what "gpu.count: auto" is; default: what nvidia-smi finds
set -eu
umask 022
live=/run/machinegen
mkdir -p "$live"

# shellcheck disable=SC2086 # a list of files
set -- ${MACHINEGEN_FILES:-/etc/machinegen/machine.yaml} --env --quiet
[ "${MACHINEGEN_SIMULATE:-}" = 1 ] && set -- "$@" --simulate
gpus=${MACHINEGEN_GPUS:-}
[ -z "$gpus" ] && [ "${MACHINEGEN_SIMULATE:-}" = 1 ] && gpus=1
[ -n "$gpus" ] && set -- "$@" --gpus "$gpus"

render() {
  node /usr/lib/machinegen/compiler/machinegen.cjs render "$@"
}

# stand_at ROOT: where the tree is that this boot runs; s6-overlay takes its profile from there (S6_RUNTIME_PROFILE).
stand_at() {
  ln -sfn "${1:-/}" "$live/root"
  ln -sfn "$1/etc/s6-overlay" "$live/s6-overlay"
}

if [ -w /etc/machinegen ]; then
  render "$@" --out / --force
  stand_at ''
elif render "$@" --out / --check --format json >"$live/check" 2>&1; then
  stand_at ''
else
  # The root is read-only, and the tree of the image is not that of this host: it goes beside the volatile state.
  render "$@" --out "$live/tree" --root "$live/tree" --force
  user2=/etc/s6-overlay/user-bundles.d/user2
  [ -d "$user2" ] && cp -R "$user2" "$live/tree/etc/s6-overlay/user-bundles.d/"
  stand_at "$live/tree"
fi

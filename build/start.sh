#!/usr/bin/env bash
# npm start: from a bare clone to a running two-GPU machine with simulated GPUs.
set -euo pipefail
cd "$(dirname "$0")/.."
. build/install-missing.sh

install_machine_packages
install_node_modules
npm run --silent build

machine=examples/basic-machine.yaml
offset=10000
proxy="http://127.0.0.1:$((offset + 80))"

# The proxy is closed without a credential, as it should be: this run gets one of its own.
if [ -z "${SERVER_CREDS:-}${MACHINE_TOKEN:-}" ]; then
  SERVER_CREDS=$(node -p 'require("node:crypto").randomBytes(9).toString("base64url")')
  export SERVER_CREDS
  say
  say "password of this run: $SERVER_CREDS"
  say "  browser  http://sd:$SERVER_CREDS@${proxy#http://}/"
  say "  shell    curl -u sd:$SERVER_CREDS $proxy/comfyui/0/system_stats"
fi
say "  health   curl $proxy/health"
say

exec node dist/machinegen.cjs up $machine --simulate --port-offset $offset --state-dir .machine/basic-machine

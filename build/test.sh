#!/usr/bin/env bash
# npm test: installs what is missing, builds, lints, checks types, and runs every test. COVERAGE=1 measures it too.
# The last line is `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/.."
. build/install-missing.sh

install_machine_packages
install_test_packages
install_node_modules
npm run --silent build
npm run --silent lint
npm run --silent types

tests=(node --import tsx test/run.ts "$@")
if [ "${COVERAGE:-}" != 1 ]; then exec "${tests[@]}"; fi

status=0
npx --no-install c8 --temp-directory coverage/tmp --reports-dir coverage --reporter text-summary --reporter lcovonly \
  --include 'generator/**' --include 'runtime/**' --exclude 'generator/generated/**' \
  --check-coverage --lines 85 "${tests[@]}" | tee coverage.log || status=$?
rm -rf coverage/tmp
grep -E '^[0-9]+ passed' coverage.log | tail -n 1
rm -f coverage.log
exit $status

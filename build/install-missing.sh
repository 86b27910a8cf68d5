# shellcheck shell=bash
# Functions that install what a bare Debian machine lacks; for the other scripts here, which run in the repository root.

# say TEXT: talk, not result.
say() { printf '%s\n' "$*" >&2; }

# install_packages COMMAND:PACKAGE...: installs the packages whose command is missing, where apt-get and root are at hand.
# What stays missing is named: whoever needs it says so again.
install_packages() {
  local pair missing=() as_root=()
  for pair; do
    command -v "${pair%%:*}" >/dev/null || [ -x "/usr/sbin/${pair%%:*}" ] || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
    say "cannot install ${missing[*]}: that takes apt-get and root; please install them yourself"
    return 0
  fi
  say "installs ${missing[*]}"
  # Debian starts nginx and Redis as soon as they are installed; here they only run when a machine or a test asks.
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null && "${as_root[@]}" chmod 755 $policy && made=1
  fi
  { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >&2 || say "cannot install ${missing[*]}: apt-get failed"
  [ -z "$made" ] || "${as_root[@]}" rm -f $policy
}

# What runs a machine on this host.
install_machine_packages() {
  install_packages s6-svscan:s6 execlineb:execline nginx:nginx-light redis-server:redis-server
}

# What the tests ask beside them: certificates, the programs that have to accept our patches and metrics, and a Python
# that can make virtual environments, which no command tells.
install_test_packages() {
  local python=()
  python3 -c 'import ensurepip, venv' 2>/dev/null || python=(ensurepip:python3-venv)
  install_packages openssl:openssl git:git patch:patch promtool:prometheus ssh:openssh-client sshd:openssh-server \
    rclone:rclone \
    "${python[@]}"
}

# install_node_modules: what package-lock.json says, unless it is there already.
install_node_modules() {
  if ! command -v node >/dev/null || ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'; then
    say "cannot go on: Node 20.19 or newer is needed, $(node --version 2>/dev/null || echo none) is here"
    return 3
  fi
  local stamp=node_modules/.package-lock.json
  if [ -e $stamp ] && [ ! package-lock.json -nt $stamp ]; then return 0; fi
  say 'installs the Node packages'
  npm ci --no-audit --no-fund >&2
}

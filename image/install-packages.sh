#!/bin/sh
# install-packages.sh DIRECTORY: installs Debian's packages that the files of the directory are named after.
set -eu
missing=
for file in "$1"/*; do
  [ -e "$file" ] || continue
  package=$(basename "$file")
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
apt-get update -qq
# shellcheck disable=SC2086 # names of packages hold no blanks
apt-get install -y -qq --no-install-recommends $missing >/dev/null
rm -rf /var/lib/apt/lists/* /var/log/dpkg.log /var/log/apt

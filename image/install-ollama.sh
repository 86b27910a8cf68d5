#!/bin/sh
# install-ollama.sh WANTED: installs Ollama where the machine file enables it.
set -eu
[ -e "$1/wanted" ] || exit 0

case $(uname -m) in
  x86_64) file=ollama-linux-amd64.tgz ;;
  aarch64) file=ollama-linux-arm64.tgz ;;
  *)
    echo "cannot install Ollama: there is none for $(uname -m)" >&2
    exit 1
    ;;
esac
url=$OLLAMA_BASE_URL/v$OLLAMA_VERSION
sha256=$OLLAMA_SHA256
if [ -z "$sha256" ]; then
  sha256=$(curl --fail --location --silent --show-error --retry 3 "$url/sha256sum.txt" | sed -n "s|^\([0-9a-f]*\)  \./$file\$|\1|p")
fi
curl --fail --location --silent --show-error --retry 3 --output /tmp/ollama.tgz "$url/$file"
if ! echo "$sha256  /tmp/ollama.tgz" | sha256sum --check --status; then
  echo "cannot install Ollama: the sha256 of $file is not \"$sha256\"" >&2
  exit 1
fi
tar -C /usr -xzf /tmp/ollama.tgz
rm -f /tmp/ollama.tgz

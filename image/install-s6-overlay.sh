#!/bin/sh
# install-s6-overlay.sh DIRECTORY: downloads s6-overlay for this architecture, proves it by its checksums and unpacks it.
set -eu
directory=$1

case $(uname -m) in
  x86_64) arch=x86_64 sha256=$S6_OVERLAY_X86_64_SHA256 ;;
  aarch64) arch=aarch64 sha256=$S6_OVERLAY_AARCH64_SHA256 ;;
  *)
    echo "cannot install s6-overlay: no checksum is known for $(uname -m)" >&2
    exit 1
    ;;
esac

if ! command -v curl >/dev/null || ! command -v xz >/dev/null; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends ca-certificates curl xz-utils >/dev/null
  rm -rf /var/lib/apt/lists/*
fi

# unpack FILE SHA256
unpack() {
  archive=$(mktemp)
  curl --fail --location --silent --show-error --retry 3 --output "$archive" \
    "$S6_OVERLAY_BASE_URL/v$S6_OVERLAY_VERSION/$1"
  if ! echo "$2  $archive" | sha256sum --check --status; then
    echo "cannot install s6-overlay: the sha256 of $1 is $(sha256sum <"$archive" | cut -d' ' -f1), not $2" >&2
    exit 1
  fi
  tar -C "$directory" -Jxpf "$archive"
  rm -f "$archive"
}

mkdir -p "$directory"
unpack s6-overlay-noarch.tar.xz "$S6_OVERLAY_NOARCH_SHA256"
unpack "s6-overlay-$arch.tar.xz" "$sha256"

#!/bin/sh
# install-comfyui.sh WANTED DIRECTORY: installs ComfyUI where the machine file enables it (WANTED/wanted exists).
set -eu
[ -e "$1/wanted" ] || exit 0
directory=$2

git init -q "$directory"
cd "$directory"
git remote add origin "$COMFYUI_REPO"
# A branch, a tag and a commit alike, without the history.
git fetch -q --depth 1 origin "$COMFYUI_REF"
git checkout -q FETCH_HEAD

sh /image/torch-constraints.sh >/tmp/constraints.txt
python3 -m pip install --quiet --constraint /tmp/constraints.txt --requirement requirements.txt
rm -f /tmp/constraints.txt

#!/bin/sh
# install-automatic1111.sh WANTED DIRECTORY: installs Automatic1111 where the machine file enables it.
set -eu
[ -e "$1/wanted" ] || exit 0
directory=$2

git init -q "$directory"
cd "$directory"
git remote add origin "$AUTOMATIC1111_REPO"
git fetch -q --depth 1 origin "$AUTOMATIC1111_REF"
git checkout -q FETCH_HEAD

# Its own versions of many packages do not suit ComfyUI's: it gets an environment that sees the GPU stack of the image.
python3 -m venv --system-site-packages venv
sh /image/torch-constraints.sh >/tmp/constraints.txt
PIP_CONSTRAINT=/tmp/constraints.txt venv/bin/python -c '
from modules import launch_utils
launch_utils.args.skip_torch_cuda_test = True
launch_utils.prepare_environment()
' --skip-torch-cuda-test
rm -f /tmp/constraints.txt

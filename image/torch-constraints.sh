#!/bin/sh
# torch-constraints.sh: prints pip constraints that keep the GPU stack of the base image as it is.
set -eu
python3 - <<'PYTHON'
from importlib.metadata import PackageNotFoundError, version

for name in ("torch", "torchvision", "torchaudio", "numpy", "xformers"):
    try:
        print(f"{name}=={version(name)}")
    except PackageNotFoundError:
        pass
PYTHON

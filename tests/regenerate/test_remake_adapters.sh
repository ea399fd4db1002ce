#!/bin/bash
# Makes the oracle's adapters and their merged weights anew and compares them with the committed ones.
set -eu
if ! "${PYTHON:-python3}" -c 'import torch, transformers, peft, safetensors' 2>/dev/null; then
    echo "skipped: torch, transformers, peft or safetensors is missing"
    exit 77
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$PYTHON" "$SD_SOURCE/tests/oracle/make_adapters.py" "$made"
cd "$made"
for file in */*.safetensors; do cmp "$file" "$SD_TEST_DATA/adapters/$file"; done

#!/bin/bash
# Makes the oracle's checkpoints and states anew and compares them with the committed ones.
set -eu
if ! "${PYTHON:-python3}" -c 'import torch, transformers, tokenizers, safetensors' 2>/dev/null; then
    echo "skipped: torch, transformers, tokenizers or safetensors is missing"
    exit 77
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$PYTHON" "$SD_SOURCE/tests/oracle/make_states.py" "$made"
"$PYTHON" "$SD_SOURCE/tests/oracle/make_states.py" --compare "$made" "$SD_TEST_DATA/states"

#!/usr/bin/env bash
# No tracked file names a place that exists on one machine only: a home, a scratch folder, a mount.
# Texts that are data are not ours to change and are left out.
set -u
cd "${SD_SOURCE:-$(dirname "$0")/../..}" || exit 1
. tests/lint/tracked.sh

places='(^|[^A-Za-z0-9_.$}*)/-])/(root|home|work|Users|scratch|mnt|data|tmp|opt|srv)/[A-Za-z0-9_]'
mapfile -t files < <(tracked '*' | grep -vE '^(configs/demo/tinyrun/|tests/data/).*\.(txt|json|safetensors)$')
[ ${#files[@]} -gt 0 ] || { echo "there are no files"; exit 1; }
if grep -InE "$places" -- "${files[@]}"; then
    echo "each line above names a place on somebody's machine"
    exit 1
fi

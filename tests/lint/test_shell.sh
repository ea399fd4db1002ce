#!/usr/bin/env bash
# Every shell script parses; where shellcheck is installed it finds nothing to warn of.
set -u
cd "${SD_SOURCE:-$(dirname "$0")/../..}" || exit 1
. tests/lint/tracked.sh

mapfile -t files < <(tracked '*.sh' '*.sbatch' .ci/run)
[ ${#files[@]} -gt 0 ] || { echo "there are no scripts"; exit 1; }
status=0
for file in "${files[@]}"; do
    shell=bash
    [ "$(head -n 1 "$file")" != '#!/bin/sh' ] || shell='sh'
    $shell -n "$file" || status=1
done
if command -v shellcheck >/dev/null; then
    shellcheck --external-sources --severity=warning "${files[@]}" || status=1
fi
exit $status

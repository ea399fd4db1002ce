#!/usr/bin/env bash
# Every C file is as clang-format and .clang-format leave it.
set -u
cd "${SD_SOURCE:-$(dirname "$0")/../..}" || exit 1
. tests/lint/tracked.sh
command -v clang-format >/dev/null || { echo "skipped: clang-format is not installed"; exit 77; }

mapfile -t files < <(tracked '*.c' '*.h')
[ ${#files[@]} -gt 0 ] || { echo "there are no C files"; exit 1; }
clang-format --dry-run -Werror "${files[@]}"

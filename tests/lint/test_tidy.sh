#!/usr/bin/env bash
# clang-tidy finds nothing in the program's C files. About a second per file and core. Tests are left out: a
# failing CHECK goes on, and the analyser follows it into what cannot be.
set -u
cd "${SD_SOURCE:-$(dirname "$0")/../..}" || exit 1
. tests/lint/tracked.sh
commands=${SD_BUILD:-build-tests}/compile_commands.json
command -v clang-tidy >/dev/null || { echo "skipped: clang-tidy is not installed"; exit 77; }
[ -f "$commands" ] || { echo "skipped: the build was not asked for compile_commands.json"; exit 77; }

# Only what the build compiles: without its options a file means something else.
mapfile -t files < <(tracked 'pipeline/*.c' 'solvers/*.c' 'io/*.c' | while IFS= read -r file; do
    ! grep -qF "/$file\"" "$commands" || printf '%s\n' "$file"
done)
[ ${#files[@]} -gt 0 ] || { echo "there are no C files"; exit 1; }
printf '%s\0' "${files[@]}" |
    timeout 850 xargs -0 -n 4 -P "$(nproc)" clang-tidy -p "$(dirname "$commands")" --quiet 2>&1 |
    grep -vE '^[0-9]+ warnings? (and [0-9]+ errors? )?generated|^Suppressed|^$|warnings? treated as error'
status=${PIPESTATUS[1]}
[ "$status" != 124 ] || echo "not done after 850 s"
exit $((status != 0))

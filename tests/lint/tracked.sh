# shellcheck shell=bash
# The files that are the project's own; to be sourced from the root: `tracked '*.c' '*.h'`.
# git's list where there is a repository, otherwise all but what builds and runs make.

tracked() { # tracked PATTERN...: paths, one per line; * matches / too
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        # What is deleted but not yet committed is listed too: drop it.
        git -c core.quotepath=off ls-files --cached --others --exclude-standard -- "$@" |
            while IFS= read -r file; do [ ! -f "$file" ] || printf '%s\n' "$file"; done | sort -u
        return
    fi
    local patterns=() pattern
    for pattern in "$@"; do patterns+=(-o -path "./$pattern" -o -path "./*/$pattern"); done
    find . \( -path './build*' -o -path ./results -o -path ./install -o -path ./.git -o -path ./.cache \
        -o -name __pycache__ \) -prune -o -type f \( "${patterns[@]:1}" \) -print | sed 's|^\./||' | sort
}

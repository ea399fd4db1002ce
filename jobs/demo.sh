#!/usr/bin/env bash
# The whole demo: set-up, build, and the study of a small training run on two ranks.
#
#   jobs/demo.sh [DIR]     results go to DIR (default: results/demo below the repository)
#
# The same command again resumes an interrupted run. Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 ask the
# ranks to stop; they do within seconds, and the exit status is then 75. Otherwise it is that of
# `singdef run` (docs/errors.md). RANKS=4 in the environment takes another number of ranks.
set -u
unset -v CDPATH

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 4
case "$#:${1-}" in
    0:) results=$root/results/demo ;;
    1:-h | 1:--help) sed -n '2,/^set/{s/^# \{0,1\}//p;}' "$0"; exit 0 ;;
    1:-* | 1:) echo "singdef: usage: jobs/demo.sh [DIR]" >&2; exit 2 ;;
    1:/*) results=$1 ;;
    1:*) results=$PWD/$1 ;;
    *) echo "singdef: usage: jobs/demo.sh [DIR]" >&2; exit 2 ;;
esac
ranks=${RANKS:-2}
case $ranks in *[!0-9]* | 0* | '')
    echo "singdef: RANKS is '$ranks', not a number from 1 on" >&2
    exit 2 ;;
esac

bash "$root/jobs/setup.sh" || exit

build=$root/build generator=()
[ -f "$build/CMakeCache.txt" ] || ! command -v ninja >/dev/null || generator=(-G Ninja)
log=$(mktemp) || exit 4
trap 'rm -f "$log"' EXIT
if ! { (cd "$root" && cmake --preset release "${generator[@]}") &&
    cmake --build "$build" --parallel "$(nproc)" --target singdef; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "singdef: the build failed (its output is above)" >&2
    exit 4
fi

# shellcheck source=jobs/mpi_env.sh
. "$root/jobs/mpi_env.sh" "$ranks"
progress=plain
[ -t 2 ] && progress=bar # under mpirun a rank cannot tell

# A session of its own keeps the terminal's Ctrl-C from mpirun, which would kill the ranks at once.
setsid "${MPIEXEC:-mpirun}" -n "$ranks" "$build/singdef" run "$root/configs/demo/demo.yaml" \
    -o "$results" --progress "$progress" </dev/null &
run=$!
stopping=no
# shellcheck disable=SC2317  # the trap calls it
stop() { stopping=yes; kill -USR1 "$run" 2>/dev/null; }
trap stop INT TERM HUP USR1
while :; do # a trapped signal ends `wait` before the run has ended
    wait "$run"
    status=$?
    [ $stopping = yes ] || break
    stopping=no
done
trap '' INT TERM HUP USR1

case $status in
    0)
        cat <<END

The demo is done.
  results  $results/study.h5   (h5dump, h5py and xarray open it; docs/results.md says what is in it)
  figures  $results/figures
  $root/docs/demo.md tells what they show.
END
        ;;
    75) echo "singdef: stopped; the same command resumes it" >&2 ;;
esac
exit "$status"

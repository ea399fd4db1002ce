#!/usr/bin/env bash
# shellcheck disable=SC2317  # a trap and wait_until call functions by name
# A study under a real Slurm, two tasks: stopped once in the middle, requeued by the job itself,
# resumed, and the same result as an undisturbed run. The Slurm is this test's own.
set -u
: "${SINGDEF:?}" "${SD_SOURCE:?}" "${PYTHON:=python3}" "${MPIEXEC:=mpirun}"
fail() { printf 'test_slurm: %s\n' "$*" >&2; exit 1; }

work=$(mktemp -d) || exit 1
finish() {
    local status=$?
    bash "$SD_SOURCE/tests/support/slurm_stop.sh" "$work/slurm"
    [ "$status" = 0 ] || [ "$status" = 77 ] || cat "$work/job.out" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

mkdir "$work/slurm"
bash "$SD_SOURCE/tests/support/slurm_start.sh" "$work/slurm" $$ || exit
export SLURM_CONF=$work/slurm/slurm.conf

# A folder of a person's own: the study with its data, a name with a space and an é.
study="$work/a séjour"
cp -r "$SD_SOURCE/configs/demo" "$study" && cd "$study" || exit 1

# Both ranks may find only one core; a job has the caller's environment.
export OMPI_MCA_rmaps_base_oversubscribe=1
# shellcheck source=jobs/mpi_env.sh
. "$SD_SOURCE/jobs/mpi_env.sh" 2

timeout 400 "$MPIEXEC" -n 2 "$SINGDEF" run demo.yaml -o undisturbed --progress none ||
    fail "the undisturbed run ended with $?"

job=$(sbatch --parsable --ntasks=2 --time=10 --output="$work/job.out" \
    "$SD_SOURCE/jobs/slurm/study.sbatch" demo.yaml stopped) || fail "sbatch refused the job"

field() { scontrol show job "$job" | sed -n "s/.*$1=\([^ ]*\).*/\1/p"; }
units() { find stopped/units -name '*.h5' 2>/dev/null | wc -l; }
wait_until() { # wait_until SECONDS CONDITION...: fails when the time is over or the job is
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}
over() { case $(field JobState) in PENDING | RUNNING | REQUEUED | COMPLETING | CONFIGURING) false ;; esac; }
begun() { [ "$(units)" -gt 0 ] || over; }
stopped() { grep -qs 'interrupted (75)' "$work/job.out" || over; }

wait_until 120 begun
if over; then fail "the job was over before it could be stopped: $(field JobState)"; fi
[ "$(units)" -gt 0 ] || fail "no unit after 120 s; the job is $(field JobState)"
scancel --signal=USR1 --batch "$job" || fail "scancel could not reach the job"
wait_until 60 stopped
grep -q 'interrupted (75)' "$work/job.out" || fail "the job did not stop with 75"
kept=$(units) all=$(find undisturbed/units -name '*.h5' | wc -l)
[ "$kept" -lt "$all" ] || fail "it was stopped too late: $kept of $all units were there"
[ ! -e stopped/study.h5 ] || fail "a stopped run left a study.h5"

wait_until 400 over || fail "the job is still $(field JobState)"
[ "$(field JobState)" = COMPLETED ] || fail "the job ended as $(field JobState), $(field ExitCode)"
[ "$(field Restarts)" = 1 ] || fail "the job was started again $(field Restarts) times, want 1"

"$PYTHON" "$SD_SOURCE/tests/support/compare_study.py" undisturbed/study.h5 stopped/study.h5
status=$?
[ "$status" = 0 ] || [ "$status" = 77 ] || fail "the results differ (above)"
exit $status

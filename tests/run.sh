#!/usr/bin/env bash
# Set-up, builds and all tests.
#
#   tests/run.sh [ctest options]     for example -R tokenizer, -L unit, -V
#
# Four builds, warnings as errors: gcc (all tests), gcc with address and undefined-behaviour
# sanitizers (unit, oracle, badinput, models, ranks), clang (unit), clang with fuzzers (fuzz). The
# last line is `N passed, N failed, N skipped` over all four; the exit status is 0 if nothing failed.
# Tests labelled `regenerate` make the committed oracle numbers again; they run when asked for by
# -L regenerate, with the Python given in PYTHON (it needs torch).
set -u
unset -v CDPATH
case ${1-} in -h | --help) sed -n '2,/^set/{s/^# \{0,1\}//p;}' "$0"; exit 0 ;; esac

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 4
root=$PWD
tests=$root/build-tests debug=$root/build-debug clang=$root/build-clang fuzz=$root/build-fuzz

# ctest takes a test out only if all of several -LE match: join them into one.
options=() except='^regenerate$'
while [ $# -gt 0 ]; do
    case $1 in
        -LE | --label-exclude) except="$except|${2-}"; shift ;;
        -L | --label-regex) [[ ${2-} != *regenerate* ]] || except=; options+=("$1" "${2-}"); shift ;;
        *) options+=("$1") ;;
    esac
    shift $(($# > 0))
done
options+=(${except:+-LE "$except"})

say() { printf 'tests: %s\n' "$*"; }

# ---- Python: a virtual environment of pinned packages, kept until the list changes ----

venv_ready() { cmp -s tests/requirements.txt "$tests/venv/requirements.txt"; }

make_venv() {
    rm -rf "$tests/venv" && mkdir -p "$tests" && python3 -m venv "$tests/venv" &&
        "$tests/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --only-binary :all: -r tests/requirements.txt &&
        cp tests/requirements.txt "$tests/venv/requirements.txt"
}

# ---- models: what the tests labelled real measure, kept until their list changes ----

models_ready() { cmp -s tests/requirements-models.txt "$tests/models/requirements-models.txt"; }

# ---- builds: each leaves a summary of ctest, or none, which counts as a failure ----

summaries=()

build() { # build FOLDER CMAKE-ARGUMENTS...
    local folder=$1 generator=()
    shift
    [ -f "$folder/CMakeCache.txt" ] || ! command -v ninja >/dev/null || generator=(-G Ninja)
    mkdir -p "$folder" &&
        cmake -B "$folder" "${generator[@]}" -DSD_PYTHON="$python" "$@" >"$folder/log" 2>&1 &&
        cmake --build "$folder" --parallel "$(nproc)" >>"$folder/log" 2>&1
}

check() { # check NAME FOLDER LABELS EXCEPT CMAKE-ARGUMENTS...
    local name=$1 folder=$2 labels=$3 without=$4 from=$SECONDS
    shift 4
    summaries+=("$folder/summary.xml")
    rm -f "$folder/summary.xml"
    if ! build "$folder" "$@"; then
        tail -n 60 "$folder/log"
        say "$name does not build (its output is in $folder/log)"
        return
    fi
    say "$name is built ($((SECONDS - from)) s)"
    ctest --test-dir "$folder" --parallel 2 --output-on-failure --no-tests=ignore \
        --output-junit "$folder/summary.xml" ${labels:+-L "$labels"} ${without:+-E "$without"} \
        "${options[@]}"
    say "$name is through ($((SECONDS - from)) s)"
}

may_fuzz() { # clang finds its libraries of the fuzzer and of the sanitizers
    printf 'int LLVMFuzzerTestOneInput(const char *at, unsigned long count) { return at == (void *)count; }' |
        clang -x c - -fsanitize=fuzzer,address,undefined -o /dev/null 2>/dev/null
}

bash jobs/setup.sh --tests || say "set-up is not complete; what needs the rest will say so"
# shellcheck source=jobs/mpi_env.sh
. jobs/mpi_env.sh 4

python=${PYTHON:-$tests/venv/bin/python}
if [ -z "${PYTHON:-}" ] && ! venv_ready && ! make_venv; then
    say "no Python packages (no network?): tests that need them will be skipped"
    python=$root/tests/support/python_or_skip.py
fi

models_ready || "$python" tests/support/models.py "$tests/models" ||
    say "no models (no network?): tests that need them will be skipped"

# Under the sanitizers everything takes several times as long: three ranks stand for all numbers of
# ranks, and the two long comparisons with Python are left to the other build.
long='^ranks/.*[.]n[124]$|^oracle/test_(tokenizer|study_oracle)$'

check "gcc" "$tests" "" "" --preset tests -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
check "gcc with sanitizers" "$debug" '^(unit|oracle|badinput|models|ranks)$' "$long" --preset debug
check "clang" "$clang" '^unit$' "" -DCMAKE_C_COMPILER=clang -DSD_WERROR=ON -DSD_TESTS=ON
if may_fuzz; then
    check "clang with fuzzers" "$fuzz" '^fuzz$' "" -DCMAKE_C_COMPILER=clang -DSD_WERROR=ON -DSD_FUZZ=ON
else
    say "fuzz is skipped: clang has no fuzzer here (Debian: libclang-rt-dev)"
fi

exec python3 tests/support/count_tests.py "${summaries[@]}"

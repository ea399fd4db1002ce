#!/usr/bin/env bash
# Installs what the build needs and this machine lacks.
#
#   jobs/setup.sh            what `singdef` needs
#   jobs/setup.sh --tests    and what its tests need
#
# Each need is asked for itself (a header, a program, a pkg-config name), not for a package: where a
# cluster's modules answer, nothing is installed and neither root nor apt is touched. Otherwise the
# missing Debian packages, and only these, are installed by root or through sudo without a password.
# Exit status: 0 all there; 2 wrong usage; 4 something is missing and cannot be installed.
set -u
export LC_ALL=C
unset -v CDPATH

say() { printf 'singdef: %s\n' "$*" >&2; }

# ---- questions: each succeeds when the need is met ----

program() { command -v "$1" >/dev/null; }
one_of() { for name in "$@"; do program "$name" && return; done; return 1; }
module() { program pkg-config && pkg-config --exists "$1"; }

at_least() { # at_least VERSION WANTED
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

cmake_new() { # presets of version 3 need 3.21
    program cmake && at_least "$(cmake --version | sed -n '1s/[^0-9]*\([0-9.]*\).*/\1/p')" 3.21
}

header() { # as the compiler finds it, or CMake below one of its prefixes
    printf '#include <%s>\n' "$1" | "${CC:-cc}" -E -x c - >/dev/null 2>&1 && return
    local prefix
    while read -r prefix; do
        [ -n "$prefix" ] && [ -f "$prefix/include/$1" ] && return
    done < <(printf '%s\n' "${CMAKE_PREFIX_PATH:-}" | tr ':;' '\n')
    return 1
}

parallel_hdf5() {
    one_of h5pcc h5pcc.openmpi || module hdf5-openmpi || [ -n "${HDF5_ROOT:-}${HDF5_DIR:-}" ]
}

python_venv() { program python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }

fuzzer() {
    printf 'int LLVMFuzzerTestOneInput(const char *at, unsigned long count) { return at == (void *)count; }' |
        clang -x c - -fsanitize=fuzzer,address,undefined -o /dev/null 2>/dev/null
}

slurm() {
    local name PATH=$PATH:/usr/sbin:/sbin
    for name in slurmctld slurmd munged sbatch srun; do program "$name" || return; done
}

# ---- needs: what, the question, the Debian packages that answer it ----

missing=() packages=()

need() { # need WHAT PACKAGES QUESTION...
    local what=$1 answer=$2
    shift 2
    "$@" && return
    missing+=("$what")
    # shellcheck disable=SC2206  # a list of words on purpose
    packages+=($answer)
}

look() { # look TESTS: fills missing and packages
    missing=() packages=()
    need "a C compiler" "gcc libc6-dev" header stdlib.h
    need "cmake 3.21 or later" cmake cmake_new
    need "ninja or make" ninja-build one_of ninja make
    need "pkg-config" pkg-config program pkg-config
    need "an MPI compiler (mpicc)" libopenmpi-dev program mpicc
    need "an MPI launcher (mpirun)" openmpi-bin program mpirun
    need "PETSc" petsc-dev module PETSc
    need "SLEPc" slepc-dev module SLEPc
    need "ScaLAPACK" libscalapack-openmpi-dev scalapack
    need "OpenBLAS" libopenblas-openmp-dev module openblas
    need "parallel HDF5" libhdf5-openmpi-dev parallel_hdf5
    need "jansson" libjansson-dev module jansson
    need "libyaml" libyaml-dev module yaml-0.1
    need "PCRE2" libpcre2-dev module libpcre2-8
    need "xxHash" libxxhash-dev module libxxhash
    need "libzip" libzip-dev module libzip
    need "libdeflate" libdeflate-dev module libdeflate
    need "OpenSSL's libcrypto" libssl-dev module libcrypto
    need "Random123" librandom123-dev header Random123/philox.h
    need "gnuplot" gnuplot-nox program gnuplot
    [ "$1" = no ] && return
    need "clang" clang program clang
    need "clang's fuzzer and sanitizers" libclang-rt-dev fuzzer
    need "clang-format" clang-format program clang-format
    need "clang-tidy" clang-tidy program clang-tidy
    need "h5dump" hdf5-tools program h5dump
    need "Python with venv" "python3 python3-venv" python_venv
    need "Slurm and munge" "slurm-wlm munge" slurm
}

scalapack() { module scalapack-openmpi || module scalapack; }

# ---- Debian ----

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    program apt-get && { [ "$(id -u)" = 0 ] || { program sudo && sudo -n true 2>/dev/null; }; }
}

lists_usable() { # package lists of the last week that know every package
    find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mtime -7 2>/dev/null | grep -q . &&
        apt-cache show --no-all-versions "${packages[@]}" >/dev/null 2>&1
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" >>"$log" 2>&1 </dev/null
}

install_packages() {
    if ! lists_usable; then apt update || return; fi
    apt install -y --no-install-recommends "${packages[@]}" && return
    # A mirror that moved on since the lists were fetched: once more with new ones.
    apt update && apt install -y --no-install-recommends "${packages[@]}"
}

list() { local IFS=,; printf '%s' "$*" | sed 's/,/, /g'; }

give_up() { # give_up REASON
    say "missing: $(list "${missing[@]}"); $1"
    exit 4
}

tests=no
case "$#:${1-}" in
    0:) ;;
    1:--tests) tests=yes ;;
    1:-h | 1:--help) sed -n '2,/^set/{s/^# \{0,1\}//p;}' "$0"; exit 0 ;;
    *) say "usage: jobs/setup.sh [--tests]"; exit 2 ;;
esac

look "$tests"
[ ${#missing[@]} = 0 ] && exit 0
may_install ||
    give_up "load your site's modules, or install these Debian packages as root: ${packages[*]}"

log=$(mktemp) || exit 4
trap 'rm -f "$log"' EXIT
say "installing Debian packages: ${packages[*]}"
if ! install_packages; then
    tail -n 20 "$log" >&2
    give_up "apt-get could not install ${packages[*]} (its last lines are above)"
fi
hash -r
look "$tests"
[ ${#missing[@]} = 0 ] || give_up "still not found after installing: ${packages[*]}"

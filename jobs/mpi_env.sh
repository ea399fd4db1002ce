# shellcheck shell=bash
# Environment for ranks on one machine; to be sourced: `. jobs/mpi_env.sh RANKS`.
# Only Open MPI reads the OMPI_ names; to any other MPI they mean nothing.
# What the caller has set already stays.

: "${OMP_NUM_THREADS:=1}"                        # one BLAS thread per rank: ranks are the parallelism
: "${OMPI_MCA_mpi_yield_when_idle:=1}"           # a waiting rank gives its core to one that works
: "${OMPI_MCA_hwloc_base_binding_policy:=none}"  # two runs at once would be bound to the same cores
: "${OMPI_MCA_orte_execute_quiet:=1}"            # the program has said why it failed; mpirun need not
export OMP_NUM_THREADS OMPI_MCA_mpi_yield_when_idle OMPI_MCA_hwloc_base_binding_policy \
    OMPI_MCA_orte_execute_quiet

if [ "$(id -u)" = 0 ]; then # containers
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
if [ "$(nproc)" -lt "${1:-1}" ]; then
    export OMPI_MCA_rmaps_base_oversubscribe=1
fi

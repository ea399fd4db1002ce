#!/usr/bin/env bash
# The shared counter over TCP, on 2 to 4 ranks: with one-sided communication through shared memory
# switched off a call is served only when the counter's owner enters MPI.
set -euo pipefail

program=$SD_BUILD/tests/test_counter_contract
export OMPI_MCA_osc=pt2pt OMPI_MCA_btl=self,tcp

for ranks in 2 3 4; do
    if ! timeout 100 "$MPIEXEC" -n "$ranks" "$program"; then
        echo "the shared counter is not served over TCP on $ranks ranks" >&2
        exit 1
    fi
done

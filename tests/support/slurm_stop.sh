#!/usr/bin/env bash
# Stops what slurm_start.sh started in DIR: its jobs, then its daemons, each by its own process id.
set -u
folder=${1:?usage: slurm_stop.sh DIR}
export SLURM_CONF=$folder/slurm.conf

if [ -f "$folder/slurmctld.pid" ]; then
    timeout 10 scancel --quiet --state=PENDING,RUNNING,SUSPENDED --user=root 2>/dev/null
    for ((i = 0; i < 50; i++)); do # slurmd kills the jobs' processes; without it they would stay
        [ -z "$(timeout 10 squeue -h 2>/dev/null)" ] && break
        sleep 0.2
    done
fi
for file in slurmd.pid slurmctld.pid munge/pid; do
    read -r pid 2>/dev/null <"$folder/$file" || continue
    kill "$pid" 2>/dev/null
    for ((i = 0; i < 50; i++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
done
exit 0

#!/usr/bin/env bash
# Starts a private Slurm on this machine, as root, with all of its files in one folder.
#
#   slurm_start.sh DIR PID     DIR is absolute; then: export SLURM_CONF=DIR/slurm.conf
#
# slurm_stop.sh DIR stops it; when process PID has ended without that, it stops by itself.
# No systemd, no cgroups, no accounting, own munge key, free ports. The node claims two cores whatever
# the machine has. Exit status: 0 the node is idle; 77 it cannot be had here, the reason on stderr.
set -u
usage='usage: slurm_start.sh DIR PID'
folder=${1:?$usage} owner=${2:?$usage} stop=$(dirname "$0")/slurm_stop.sh
PATH=$PATH:/usr/sbin:/sbin

cannot() { printf 'slurm_start.sh: %s\n' "$*" >&2; exit 77; }

[ "$(id -u)" = 0 ] || cannot "needs root"
for name in munged slurmctld slurmd sinfo; do
    command -v "$name" >/dev/null || cannot "$name is not installed"
done
host=$(hostname -s) || cannot "the machine has no host name"

port_free() { ! (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_port() { # free_port FROM: the first of 200 that nobody listens on
    local port
    for ((port = $1; port < $1 + 200; port++)); do
        port_free "$port" && { echo "$port"; return; }
    done
    return 1
}
start=$((20000 + RANDOM % 8000))
control=$(free_port $start) || cannot "no free port from $start on"
node=$(free_port $((control + 1))) || cannot "no free port from $control on"

mkdir -p "$folder"/{munge,state,spool,log} || cannot "$folder cannot be written"
chmod 700 "$folder/munge"
[ -f "$folder/munge/key" ] || head -c 128 /dev/urandom >"$folder/munge/key"
chmod 600 "$folder/munge/key"

# cred_expire and the scheduler's intervals: a requeued job starts after seconds, not minutes.
cat >"$folder/slurm.conf" <<END
ClusterName=tests
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$control
SlurmdPort=$node
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=1
JobRequeue=1
KillWait=5
ReturnToService=2
RebootProgram=/bin/true
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1
PartitionName=main Nodes=$host Default=YES State=UP MaxTime=INFINITE
END
# slurmd wants to know the kind even if nothing uses it, and fails where it finds none mounted.
[ -e /sys/fs/cgroup/cgroup.controllers ] || [ -d /sys/fs/cgroup/memory ] ||
    echo CgroupPlugin=cgroup/v1 >"$folder/cgroup.conf"
export SLURM_CONF=$folder/slurm.conf

munged --force --num-threads=2 --key-file="$folder/munge/key" --socket="$folder/munge/socket" \
    --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" \
    >/dev/null 2>&1 || cannot "munged does not start: $(tail -n 1 "$folder/munge/log" 2>&1)"
slurmctld -c >/dev/null 2>&1 && slurmd -c >/dev/null 2>&1
for ((i = 0; i < 100; i++)); do
    ! grep -qs 'slurmd initialization failed' "$folder/log/slurmd.log" || i=100
    [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && break
    sleep 0.2
done
if [ $i -lt 100 ]; then
    # shellcheck disable=SC2016  # the inner shell expands it
    setsid bash -c 'while kill -0 "$1" 2>/dev/null; do sleep 1; done; exec bash "$2" "$3"' \
        watch "$owner" "$stop" "$folder" </dev/null >/dev/null 2>&1 &
    exit 0
fi
reason=$(grep -h error: "$folder/log/slurmd.log" "$folder/log/slurmctld.log" | head -n 1)
bash "$stop" "$folder"
cannot "no node became idle: ${reason:-no reason is given}"

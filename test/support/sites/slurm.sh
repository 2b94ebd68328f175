# Slurm on one host with 4 CPUs: partitions batch (preemptible, 8 s of grace) and urgent; run inside a site, as root.
set -e
name=$(hostname)
mkdir -p /etc/slurm /var/spool/slurmctld /var/spool/slurmd /run/munge /var/log/munge /var/lib/munge
cat >/etc/slurm/slurm.conf <<C
ClusterName=$name
SlurmctldHost=$name
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,requeue_delay=5
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=20
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PreemptParameters=send_user_signal
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
NodeName=$name CPUs=4 RealMemory=4000
PartitionName=batch Nodes=$name Default=YES MaxTime=24:00:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=8 State=UP
PartitionName=urgent Nodes=$name MaxTime=24:00:00 PriorityTier=10 PreemptMode=OFF State=UP
C
echo CgroupPlugin=disabled >/etc/slurm/cgroup.conf
chown munge:munge /run/munge /var/log/munge /var/lib/munge; chmod 755 /run/munge
[ -f /etc/munge/munge.key ] || { dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=128 2>/dev/null; chown munge:munge /etc/munge/munge.key; chmod 400 /etc/munge/munge.key; }
setpriv --reuid munge --regid munge --clear-groups munged --force
slurmctld
slurmd

# Grid Engine on one host with 4 slots and a parallel environment `smp`; run inside a site, as root.
set -e
export SGE_ROOT=/var/lib/gridengine SGE_CELL=default
name=$(hostname)
files=$(mktemp -d)
trap 'rm -rf "$files"' EXIT
echo "$name" >$SGE_ROOT/default/common/act_qmaster
chown sgeadmin $SGE_ROOT/default/common/act_qmaster
mkdir -p /var/spool/gridengine/execd /var/spool/gridengine/qmaster /var/run/gridengine
chown -R sgeadmin /var/spool/gridengine /var/run/gridengine
sge_qmaster
for _ in $(seq 50); do qconf -sh >/dev/null 2>&1 && break; sleep 0.2; done
qconf -as "$name"
{
  echo "hostname $name"
  for key in load_scaling complex_values user_lists xuser_lists projects xprojects usage_scaling report_variables; do
    echo "$key NONE"
  done
} >"$files/host"
qconf -Ae "$files/host"
printf 'group_name @allhosts\nhostlist %s\n' "$name" >"$files/group"
qconf -Ahgrp "$files/group"
cat >"$files/pe" <<'C'
pe_name smp
slots 64
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $pe_slots
control_slaves FALSE
job_is_first_task TRUE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
C
qconf -Ap "$files/pe"
qconf -sq | sed -e 's/^qname .*/qname batch/' -e 's/^hostlist .*/hostlist @allhosts/' -e 's/^slots .*/slots 4/' \
  -e 's/^notify .*/notify 00:00:08/' -e 's/^rerun .*/rerun TRUE/' -e 's/^pe_list .*/pe_list smp/' \
  -e 's/^load_thresholds .*/load_thresholds NONE/' -e 's/^shell .*/shell \/bin\/bash/' \
  -e 's/^shell_start_mode .*/shell_start_mode unix_behavior/' >"$files/queue"
qconf -Aq "$files/queue"
qconf -ssconf | sed -e 's/^schedule_interval.*/schedule_interval 0:0:2/' -e 's/^flush_submit_sec.*/flush_submit_sec 1/' \
  -e 's/^flush_finish_sec.*/flush_finish_sec 1/' >"$files/scheduler"
qconf -Msconf "$files/scheduler"
qconf -sconf | sed -e 's/^load_report_time.*/load_report_time 00:00:02/' -e '/^#global/d' >"$files/global"
qconf -Mconf "$files/global"
sge_execd

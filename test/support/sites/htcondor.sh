# HTCondor on one host with 4 CPUs, evictions within seconds; run inside a site, as root.
set -e
name=$(hostname)
address=$(ip -4 -o addr show scope global | awk '{print $4}' | cut -d/ -f1)
mkdir -p /run/condor /var/lock/condor /var/log/condor /var/spool/condor /var/lib/condor/execute /etc/condor/config.d
chown condor:condor /run/condor /var/lock/condor /var/log/condor /var/spool/condor /var/lib/condor /var/lib/condor/execute
cat >/etc/condor/config.d/99-site.conf <<C
DAEMON_LIST = MASTER, COLLECTOR, NEGOTIATOR, SCHEDD, STARTD
CONDOR_HOST = $address
NETWORK_INTERFACE = $address
ALLOW_READ = *
ALLOW_WRITE = *
ALLOW_DAEMON = *
ALLOW_ADMINISTRATOR = *
ALLOW_NEGOTIATOR = *
SEC_DEFAULT_AUTHENTICATION_METHODS = FS, CLAIMTOBE
NEGOTIATOR_INTERVAL = 2
NEGOTIATOR_CYCLE_DELAY = 2
SCHEDD_INTERVAL = 2
UPDATE_INTERVAL = 5
NUM_CPUS = 4
RUNBENCHMARKS = False
MEMORY = 8000
DISCARD_SESSION_KEYRING_ON_STARTUP = False
C
condor_master

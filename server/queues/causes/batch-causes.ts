/**
 * What batch systems say when they refuse a pilot, let it wait or take it away. Words: Slurm's slurm_errno.c and "JOB REASON
 * CODES" of squeue(1), HTCondor's hold reasons, qsub of Grid Engine and PBS, LSF's bsub and pending reasons, Kubernetes events;
 * those of Slurm, HTCondor and Grid Engine were seen on real systems. The particular stand before the general.
 */
import { pilotSize } from "../../../protocol/pilot-size.ts";
import type { Cause } from "./cause.ts";

const SHOW = "hyperpilot site queue show QUEUE";

export const BATCH_CAUSES: readonly Cause[] = [
  {
    code: "batchCommandMissing",
    words: [/command not found/i, /is not on the harvester's host/],
    means: "The batch system's command is not on the harvester's host.",
    remedy:
      "Run the harvester where the command is, or name its directory: hyperpilot site queue set QUEUE batch.commandDirectory=DIR",
  },
  {
    code: "batchSystemDown",
    words: [
      /unable to contact slurm controller/i,
      /socket timed out/i,
      /no answer within \d+ s/,
      /can't find address of local schedd|failed to connect to (?:local )?queue manager/i,
      /unable to contact qmaster|can't connect to qmaster|unable to send message to qmaster/i,
      /cannot connect to (?:specified )?server/i,
      /LSF is down|failed in an LSF library call/i,
      /connection to the server \S+ was refused|the server could not be reached/i,
    ],
    means: "The batch system's own server does not answer.",
    remedy:
      "Look whether it is up (scontrol ping, condor_status -schedd, qstat -f, kubectl get nodes); submitting goes on by itself.",
  },
  {
    code: "wrongPartition",
    words: [
      /invalid partition/i,
      /unknown queue/i,
      /no such queue/i,
      /queue\s+"?\S+"?\s+does not exist/i,
    ],
    means: "The batch system has no partition or queue of this name.",
    remedy: ({ batch }) =>
      batch.kind === "slurm"
        ? "See the names: sinfo -s; then: hyperpilot site queue set QUEUE batch.partition=NAME"
        : "See the names (qstat -q, qconf -sql, bqueues); then: hyperpilot site queue set QUEUE batch.queue=NAME",
  },
  {
    code: "invalidAccount",
    words: [
      /invalid account/i,
      /InvalidAccount|AccountNotAllowed/,
      /invalid qos|InvalidQOS|QOSNotAllowed/i,
      /project\s+"?\S*"?\s+(?:is unknown|does not exist)/i,
      /accounting.group.*(?:invalid|unknown)/i,
    ],
    means: "The account, project or QOS of the queue is unknown, or this user may not use it here.",
    remedy: ({ batch }) =>
      batch.kind === "slurm"
        ? "See what the harvester's user may use: sacctmgr show assoc user=$USER; then: hyperpilot site queue set QUEUE batch.account=NAME batch.qos=NAME"
        : `Compare it with what the site gave you: ${SHOW}`,
  },
  {
    code: "notPermitted",
    words: [
      /group not permitted|not in group permitted|access\/permission denied/i,
      /(?:neither|no) submit (?:nor admin )?host/i,
      /unauthorized request|no permission/i,
      /user cannot use the queue/i,
      /\bforbidden\b(?!.*exceeded quota)/i,
      /must be logged in|\bunauthorized\b/i,
    ],
    means: "The harvester's user may not submit there.",
    remedy: "Ask the site to let this user submit to this partition or queue from this host.",
  },
  {
    code: "submitQuota",
    words: [
      /job violates accounting\/QOS policy/i,
      /(?:QOS|Assoc)(?:Max|Grp)Submit/,
      /would exceed .*limit/i,
      /job submit limit|too many (?:jobs|pending)/i,
      /reached (?:his\/her|its|the).*limit/i,
      /exceeded quota/i,
    ],
    means: "The site's limit on jobs of this user is reached.",
    remedy: ({ limits }) =>
      `Ask for a larger limit, or stay below it: hyperpilot site queue limit QUEUE maxPilots=N maxQueued=N (now ${limits.maxPilots} and ${limits.maxQueued})`,
  },
  {
    code: "noWalltimeFits",
    words: [
      /PartitionTimeLimit/,
      /time limit is invalid|exceeds some limit/i,
      /RUNLIMIT: cannot exceed/i,
      /walltime.*(?:exceed|limit)|(?:exceed|limit).*walltime/i,
    ],
    means: "Pilots ask for more walltime than the partition or queue allows, so they never start.",
    remedy: ({ slot }) =>
      `See the limit (sinfo -o '%P %l', qconf -sq, qstat -Qf, bqueues -l); then: hyperpilot site queue set QUEUE slot.walltimeSeconds=N (now ${slot.walltimeSeconds ?? "none"})`,
  },
  {
    code: "memoryTooLarge",
    words: [/memory specification can not be satisfied/i, /MaxMemPer(?:Limit|Node|CPU)/i],
    means: "Pilots ask for more memory than any node of the partition has, so they never start.",
    remedy: (queue) =>
      `See what nodes have: sinfo -o '%P %m'; then: hyperpilot site queue set QUEUE slot.memoryMiB=N (a pilot asks for ${pilotSize(queue).memoryMiB} MiB)`,
  },
  {
    code: "noGpuAtSite",
    words: [
      /invalid generic resource|gres.*(?:unsupported|not available)/i,
      /insufficient nvidia\.com\/gpu/i,
      /gpu.*(?:unknown|not available|cannot be satisfied)/i,
    ],
    means: "Pilots ask for GPUs that the batch system does not have under this name.",
    remedy:
      "See what there is (sinfo -o '%P %G', condor_status -af TotalGPUs); then: hyperpilot site queue set QUEUE slot.gpus=N, or correct the type of GPU",
  },
  {
    code: "requestNeverFits",
    words: [
      /requested node configuration is not available/i,
      /BadConstraints|invalid feature specification/i,
      /can never run/i,
      /parallel environment .*does not exist/i,
      /unknown resource|bad resource requirement/i,
      /no suitable queues/i,
      /PartitionNodeLimit|PartitionConfig/,
      /cpu count per node can not be satisfied/i,
    ],
    means:
      "No node of the partition could ever run such a job: too many CPUs, too much memory, or a feature that none has.",
    remedy: (queue) => {
      const { cpus, memoryMiB, gpus } = pilotSize(queue);
      return `A pilot asks for ${cpus} CPUs, ${memoryMiB} MiB and ${gpus} GPUs; see what nodes have (sinfo -N -l, condor_status -compact, qhost) and ask for less: hyperpilot site queue set QUEUE slot.cpus=N slot.memoryMiB=N`;
    },
  },
  {
    code: "jobHeld",
    words: [
      /JobHeld(?:User|Admin)/,
      /\bheld\b/i,
      /\bhqw\b/,
      /suspended by the user while pending|PSUSP/i,
    ],
    means: "The batch system keeps the job on hold; it starts only when somebody releases it.",
    remedy:
      "The reason stands beside it. Release it (scontrol release ID, condor_release ID, qrls ID) or remove it: hyperpilot site pilot kill SUBMISSION",
  },
  {
    code: "jobInError",
    words: [/\bEqw\b|the last start failed; see qstat/],
    systems: ["gridengine"],
    means: "Grid Engine could not start the job on a node and keeps it in error.",
    remedy: "Read the reason: qstat -j ID -explain E; when it is gone: qmod -cj ID",
  },
  {
    code: "nodeDownAtSite",
    words: [
      /ReqNodeNotAvail|nodes required for job are down, drained/i,
      /PartitionDown|PartitionInactive|partition .*(?:down|inactive|drain)/i,
      /queue is (?:inactivated|closed|disabled)/i,
      /queue is not enabled/i,
    ],
    means: "The nodes that could run the job are down, drained or reserved.",
    remedy:
      "See why: sinfo -R (Slurm), condor_status (HTCondor), qhost -q (Grid Engine); pilots start when nodes are back.",
  },
  {
    code: "imagePullAtSite",
    words: [/ErrImagePull|ImagePullBackOff|InvalidImageName/],
    systems: ["kubernetes"],
    means: "Kubernetes cannot pull the image in which pilots run.",
    remedy: "Correct its name or its access: hyperpilot site queue set QUEUE batch.image=IMAGE",
  },
  {
    code: "waitsForTurn",
    words: [
      /\b(?:Resources|Priority|BeginTime|Licenses)\b/,
      /(?:QOS|Assoc)(?:Max|Grp)\w+/,
      /\bidle\b/i,
      /\bqw\b|\bRq\b/,
      /not running: /i,
      /new job is waiting|not satisfied|slot limit/i,
      /unschedulable|insufficient (?:cpu|memory)/i,
      /just submitted/,
    ],
    waits: true,
    means: "The job waits for its turn: the batch system has no free place for it now.",
    remedy:
      "Wait. Nodes that never come free, or a share that is used up, the batch system explains: squeue --start -j ID, condor_q -better-analyze ID, qstat -j ID",
  },
];

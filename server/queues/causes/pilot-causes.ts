/**
 * What jobs print when their pilot does not come up: the shell, the start script, the pilot itself, its sandbox. The particular
 * stand before the general; an ENOSPC of namespaces is no full disk.
 */
import type { Cause } from "./cause.ts";

export const PILOT_CAUSES: readonly Cause[] = [
  {
    code: "bootFileMissing",
    words: [/the boot file \S+ cannot be read/i, /cannot be used as a boot file/i],
    means: "The node does not see the pilot's boot file, or not as the harvester wrote it.",
    remedy:
      "Put the harvester's --directory on a file system that nodes share, under the same path and for the same user, or use a batch system that brings files to the node (HTCondor).",
  },
  {
    code: "pilotPackageDamaged",
    words: [/damaged \(sha256\)/, /SyntaxError|Unexpected token/],
    means: "The packed pilot is not complete on the node.",
    remedy: "Unpack its archive again into the harvester's --pilotPackage directory.",
  },
  {
    code: "nodeMissing",
    words: [
      /no Node\.js 20\.19 or newer/i,
      /GLIBC\S* not found|libstdc\+\+\S* not found/i,
      /cannot execute binary file|exec format error/i,
      /\bnode: (?:command )?not found/i,
    ],
    means:
      "The node cannot run Node.js: it has none, or the packed one needs a newer operating system or another CPU.",
    remedy:
      "Give the node Node.js 20.19 or newer in PATH (pilot.preamble: module load nodejs), or pack the pilot on a machine like the nodes: npm run pack-pilot",
  },
  {
    code: "pilotPackageMissing",
    words: [
      /(?:cannot open|can't open) \S*start\.sh/i,
      /start\.sh: (?:no such file|not found)/i,
      /(?:no such file or directory|not found)\S*[:\s]+\S*(?:pilot\.mjs|start\.sh|main\.js)/i,
      /(?:pilot\.mjs|SHA256SUMS|main\.js).*no such file/i,
      /cannot find module/i,
    ],
    means: "The node does not see the pilot's program.",
    remedy:
      "Unpack the pilot's archive on a file system that all nodes share, and start the harvester with that path: --pilotPackage DIR",
  },
  {
    code: "certificateRefused",
    words: [
      /certificate is not the one that was pinned/i,
      /self[- ]signed certificate|unable to (?:verify|get).*certificate/i,
    ],
    means:
      "What answers the pilot under the server's address shows another certificate than the pinned one.",
    remedy:
      "Compare fingerprints (openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -fingerprint -sha256) and start the harvester with the right --caFingerprint; a proxy of the site that opens TLS must let this host pass.",
  },
  {
    code: "clockWrong",
    words: [/the clock of this node is \d+ s/i, /certificate (?:has expired|is not yet valid)/i],
    means: "The clock of the node is wrong.",
    remedy: "Set it: look whether chronyd or ntpd runs on the node; drain the node until then.",
  },
  {
    code: "noUserNamespaces",
    words: [
      /no permissions to creat\w* (?:a )?new namespace/i,
      /creating new namespace failed/i,
      /setting up uid map/i,
      /failed to create (?:a )?user namespace|number of user namespaces exceeded/i,
      /user namespaces? (?:is|are) (?:disabled|not )/i,
    ],
    means: "The node does not let ordinary users make user namespaces, and the sandbox needs them.",
    remedy:
      "Set user.max_user_namespaces (and kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns) on the nodes, or install apptainer with its setuid part.",
  },
  {
    code: "noRuntime",
    words: [
      /no container runtime works on this node/i,
      /the runtime "\S+" of the queue does not work/i,
    ],
    means: "No container runtime that the queue allows works on the node.",
    remedy:
      "Install apptainer or bubblewrap on the nodes, load it in pilot.preamble, or allow another one: hyperpilot site queue set QUEUE runtime=auto",
  },
  {
    code: "scratchFull",
    words: [
      /scratch directory \S+ is full/i,
      /no scratch directory can be made/i,
      /ENOSPC|no space left on device|disk quota exceeded/i,
    ],
    means: "The node's scratch directory is full, or cannot be written.",
    remedy:
      "Clean it up on the node, or name another one: hyperpilot site queue set QUEUE pilot.scratchDirectory=DIR",
  },
  {
    code: "secretRefused",
    words: [/this boot secret is not valid/i, /boot secret of submission \S+ was exchanged/i],
    means:
      "The server does not take the pilot's boot secret any more: its submission has ended, or it started too often.",
    remedy: "Nothing to do for one job; if all jobs say so, restart the harvester.",
  },
  {
    code: "submissionRunsTwice",
    words: [/another pilot of submission \S+ is alive/i],
    means: "The batch system runs the same job twice.",
    remedy: "Remove one of the two jobs.",
  },
  {
    code: "serverUnreachable",
    words: [
      /serverUnreachable/,
      /the server \S+ cannot be reached/i,
      /ECONNREFUSED|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN/,
      /is neither https:\/\/ nor on this machine/,
    ],
    means: "The node cannot reach the server under the address that the harvester was given.",
    remedy:
      "On a node: curl -k SERVER/api/hyperpilot/v1/health. Start the harvester with an address that nodes reach (--server, not localhost), open the firewall, or name a proxy in pilot.preamble.",
  },
  {
    code: "jobTimedOut",
    words: [/\bTIMEOUT\b|walltime|duration exceeded/i],
    means: "The batch system ended the job for its walltime before the pilot had connected.",
    remedy: "Ask for more: hyperpilot site queue set QUEUE slot.walltimeSeconds=N",
  },
  {
    code: "jobOutOfMemory",
    words: [/OUT_OF_MEMORY|oom[- ]?kill|memory usage exceeded/i],
    means:
      "The batch system ended the job for its memory before the pilot had connected; a pilot alone needs about 150 MB.",
    remedy: "Ask for more: hyperpilot site queue set QUEUE slot.memoryMiB=N",
  },
  {
    code: "preambleFailed",
    words: [/command not found|: not found\b/i],
    means: "A command in the script before the pilot is not on the node.",
    remedy: "Look at pilot.preamble of the queue: hyperpilot site queue show QUEUE",
  },
];

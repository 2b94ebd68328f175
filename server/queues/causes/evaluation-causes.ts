/** What evaluations say that fail through no fault of their program. Words: "cause: message" of the failure. */
import type { Cause } from "./cause.ts";

export const EVALUATION_CAUSES: readonly Cause[] = [
  {
    code: "imageMissing",
    words: [/^imagePull\b/, /^E_IMAGE\b/],
    means: "The search's container image cannot be used on the nodes.",
    remedy:
      "Look whether it is there and may be read; a path must lie below readOnlyPaths; another name for it: images in the queue's file. A search whose image is mistyped pauses by itself.",
  },
  {
    code: "scratchFull",
    words: [/^diskFull\b/],
    means: "The nodes' scratch directory fills up while evaluations run.",
    remedy:
      "Clean it up, or name a larger disk: hyperpilot site queue set QUEUE pilot.scratchDirectory=DIR",
  },
  {
    code: "runtimeFails",
    words: [/^runtime\b/],
    means: "The container runtime fails to start evaluations.",
    remedy:
      "Try it by hand on the node that is named; drain the node until then: hyperpilot site node drain NODE --queue QUEUE",
  },
  {
    code: "pilotsLost",
    words: [/^expired\b/],
    means:
      "Pilots fall silent and are given up: nodes that crash, or a network that cuts connections.",
    remedy: "See which nodes: hyperpilot site nodes --bad",
  },
  {
    code: "pilotsEvicted",
    words: [/^(?:eviction|drain|pilotStop|submissionEnded|newInstance|bye)\b/],
    means: "The batch system takes pilots away before an evaluation has ended.",
    remedy:
      "Evaluations that take longer than pilots live need checkpoints (--checkPointToSave), or a queue that is preempted less.",
  },
  {
    code: "memoryForTask",
    words: [/^E_MEMORY\b/],
    means: "Evaluations need more memory than their slot has.",
    remedy:
      "The search asks for more (--memory); slots of that size: hyperpilot site queue set QUEUE slot.memoryMiB=N",
  },
];

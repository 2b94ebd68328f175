/** What keeps a search out of a queue or from going on, by the words in which the server itself says it. */
import type { Cause } from "./cause.ts";

export const TASK_CAUSES: readonly Cause[] = [
  {
    code: "queueNotNamed",
    words: [/is not among the queues that the task names/],
    means: "The search names other queues.",
    remedy: "Its owner submits it with another --queue (--site of phpo), or with none.",
  },
  {
    code: "steeringQueue",
    words: [/is a central queue/],
    means: "The queue runs steering containers only.",
    remedy: "Evaluations need a queue with role evaluation.",
  },
  {
    code: "internetNeeded",
    words: [/does not reach the internet/],
    means: "The search needs the internet, and the queue does not offer it.",
    remedy: "If its nodes reach the internet: hyperpilot site queue set QUEUE internet=true",
  },
  {
    code: "noWalltimeForTask",
    words: [/walltime of its pilots/],
    means: "One evaluation may take longer than pilots of the queue live.",
    remedy: "Raise slot.walltimeSeconds of the queue, or lower --evaluationTimeout of the search.",
  },
  {
    code: "noGpuForTask",
    words: [/fitting GPUs per slot/],
    means: "The search needs a GPU that the queue's slots do not have.",
    remedy: "Add a queue with GPUs, or ask for less: --gpus",
  },
  {
    code: "memoryForTask",
    words: [/of memory per slot/],
    means: "The search needs more memory than a slot of the queue has.",
    remedy: "Raise slot.memoryMiB of the queue, or ask for less: --memory",
  },
  {
    code: "cpusForTask",
    words: [/CPUs per slot/],
    means: "The search needs more CPUs than a slot of the queue has.",
    remedy: "Raise slot.cpus of the queue, or ask for less: --cpus",
  },
];

/** The task that is tried: the person's, with one point, in a slot of this machine. Pure. */
import { memberOf, parseJsonText } from "../../protocol/json-text.ts";
import { formatBytes, type SlotNeeds } from "../../protocol/resources.ts";
import { isSpaceList } from "../../protocol/segmented-space.ts";
import type { TaskSpecification } from "../../protocol/task.ts";

const MIB = 1_048_576;
/** The rest is left to the machine's other programs. */
const MEMORY_SHARE = 0.8;

export interface Machine {
  readonly cores: number;
  readonly memoryBytes: number;
  readonly gpus: number;
}

export interface TryPlan {
  readonly spec: TaskSpecification;
  /** Shape of the only slot. */
  readonly slot: { readonly cpus: number; readonly memoryMiB: number; readonly gpus: number };
  /** What is not as it will be, one sentence each. */
  readonly notes: readonly string[];
}

/** Asks as the search itself would; needs that the machine cannot fulfil are cut down, and said. */
export function tryPlan(spec: TaskSpecification, machine: Machine): TryPlan {
  const memoryBytesMax = Math.floor((machine.memoryBytes * MEMORY_SHARE) / MIB) * MIB;
  const { alternatives, ...first } = spec.needs;
  const fits = ({ cpus, memoryBytes, gpus }: SlotNeeds): boolean =>
    cpus <= machine.cores && memoryBytes <= memoryBytesMax && (gpus?.count ?? 0) <= machine.gpus;
  const wanted = [first, ...alternatives].find(fits) ?? first;
  const notes: string[] = [];
  const cpus = Math.min(wanted.cpus, machine.cores);
  if (cpus < wanted.cpus)
    notes.push(`${wanted.cpus} CPUs are asked for, this machine has ${machine.cores}.`);
  // Whole MiB: a slot has no others.
  const memoryMiB = Math.ceil(Math.min(wanted.memoryBytes, memoryBytesMax) / MIB);
  if (wanted.memoryBytes > memoryBytesMax) {
    const has = formatBytes(memoryMiB * MIB);
    notes.push(`${formatBytes(wanted.memoryBytes)} of memory are asked for, here are ${has}.`);
  }
  const hasGpus = (wanted.gpus?.count ?? 0) <= machine.gpus;
  if (!hasGpus) notes.push("GPUs are asked for, this machine has not so many: tried without.");
  const gpus = hasGpus ? wanted.gpus : null;
  const { limits, segments } = spec;
  if (segments.length > 1)
    notes.push(`Only the first of ${segments.length} segments was tried: ${segments[0]?.name}.`);
  return {
    spec: {
      ...spec,
      limits: { ...limits, maxPoints: 1, nParallelEvaluation: 1, maxEvaluationJobs: null },
      needs: {
        ...spec.needs,
        cpus,
        memoryBytes: Math.min(wanted.memoryBytes, memoryMiB * MIB),
        gpus,
        alternatives: [],
      },
      // One segment tells as much as all of them.
      segments: spec.segments.slice(0, 1),
      searchSpace: spec.segments.length > 0 ? firstSpace(spec.searchSpace) : spec.searchSpace,
      queues: [],
    },
    slot: { cpus, memoryMiB, gpus: gpus?.count ?? 0 },
    notes,
  };
}

/** A list of one search space per segment is cut down to that of the first. */
function firstSpace(text: string): string {
  if (!isSpaceList(text)) return text;
  const root = parseJsonText(text, { name: "searchSpace" });
  const items = root.type === "array" ? root.items : [];
  const first = items.find((item) => memberOf(item, "model_id")?.raw === "0");
  return first === undefined ? text : `[${first.raw}]`;
}

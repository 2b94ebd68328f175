/** What qstat -xml prints, as truth. State letters after qstat(1). Pure. */
import type { BatchTruth } from "../driver.ts";

export interface GridEngineJob {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly queue: string;
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

/** The elements of each `job_list`; what qstat writes has neither nested lists nor attributes of interest. */
export function parseQstat(xml: string): GridEngineJob[] {
  return [...xml.matchAll(/<job_list\b[^>]*>([\s\S]*?)<\/job_list>/g)].map(([, body = ""]) => ({
    id: element(body, "JB_job_number"),
    name: element(body, "JB_name"),
    state: element(body, "state"),
    queue: element(body, "queue_name"),
  }));
}

function element(body: string, name: string): string {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1] ?? "";
  return text.replace(/&(\w+);/g, (whole, entity: string) => ENTITIES[entity] ?? whole).trim();
}

/**
 * `t` (transferring) and `d` (being deleted) are still jobs; `E` is an error that an operator clears (qmod -c): such a job waits.
 * Only `z` has ended.
 */
export function gridEngineTruth({ id, state, queue }: GridEngineJob): BatchTruth {
  const detail = `job ${id} ${state}${queue === "" ? "" : ` in ${queue}`}`;
  if (state.includes("z")) return { type: "ended", detail };
  if (state.includes("E")) {
    const words = `${detail}: the last start failed; see qstat -j ${id}, then qmod -cj ${id}`;
    return { type: "active", phase: "queued", detail: words };
  }
  if (/[rtsST]/.test(state)) return { type: "active", phase: "running", detail };
  if (/[qwhd]/.test(state)) return { type: "active", phase: "queued", detail };
  return { type: "unknown", detail };
}

/** Tasks as people name them: by id, by name, or `last`. */
import { didYouMean } from "../protocol/did-you-mean.ts";
import { HyperpilotError } from "../protocol/errors.ts";
import { FIRST_TASK_ID, type TaskId } from "../protocol/ids.ts";
import type { Api } from "./api.ts";

/** Pages of 1000 that are looked through for a name. */
const PAGES_MAX = 20;

/** Errors: E_NOT_FOUND; E_CONFLICT when several tasks have the name. */
export async function findTask(api: Api, selector: string): Promise<TaskId> {
  if (/^\d{8,15}$/.test(selector) && Number(selector) >= FIRST_TASK_ID) return Number(selector);
  if (selector === "last") return newestTask(api);
  const found: TaskId[] = [];
  const names: string[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const query: { limit: number; cursor?: string } = {
      limit: 1_000,
      ...(cursor === null ? {} : { cursor }),
    };
    const { items, nextCursor } = await api.call("listTasks", { query });
    for (const { taskId, name } of items) {
      if (name === selector) found.push(taskId);
      else names.push(name);
    }
    cursor = nextCursor;
    if (cursor === null) break;
  }
  const [first] = found;
  if (first === undefined) throw notFound(selector, didYouMean(selector, names));
  if (found.length === 1) return first;
  throw new HyperpilotError({
    code: "E_CONFLICT",
    message: `${found.length} tasks are named ${JSON.stringify(selector)}.`,
    why: `Newest first: ${found.slice(0, 10).join(", ")}.`,
    remedy: `Name one by its id, such as ${first}.`,
  });
}

async function newestTask(api: Api): Promise<TaskId> {
  const { items } = await api.call("listTasks", { query: { limit: 1 } });
  const newest = items[0];
  if (newest !== undefined) return newest.taskId;
  throw new HyperpilotError({
    code: "E_NOT_FOUND",
    message: "There is no last task: you have none.",
    remedy: "Submit one: hyperpilot submit --help",
  });
}

function notFound(selector: string, near: string | null): HyperpilotError {
  return new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `You have no task ${JSON.stringify(selector)}.`,
    remedy:
      near === null
        ? "See them all: hyperpilot task list"
        : `Did you mean ${JSON.stringify(near)}?`,
  });
}

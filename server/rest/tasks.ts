/** Routes of searches. */
import type { Readable } from "node:stream";
import { z } from "zod";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { Limits } from "../../protocol/task.ts";
import { authorize } from "../auth/access.ts";
import { explain } from "../tasks/why.ts";
import { segmentPage } from "../views/segments.ts";
import { taskDetail, taskPage } from "../views/tasks.ts";
import { taskWarnings } from "../views/warnings.ts";
import type { Call, Handlers } from "./call.ts";
import { visibleTask, type RestDeps } from "./context.ts";

type TaskRoutes =
  | "submitTask"
  | "listTasks"
  | "showTask"
  | "taskFiles"
  | "listSegments"
  | "why"
  | "controlTask"
  | "changeLimits"
  | "retryPoints";

export function taskHandlers(deps: RestDeps): Pick<Handlers, TaskRoutes> {
  const { engine } = deps;
  /** Checks that the caller may touch the task; ownership never changes. */
  const check = async (call: Pick<Call<"showTask">, "caller" | "params">): Promise<number> => {
    const { taskId } = call.params;
    await engine.read((core) => visibleTask(core, call.caller.principal, taskId).id);
    return taskId;
  };
  return {
    submitTask: async ({ caller, body: { spec } }) => {
      await checkSandbox(deps, spec.sandboxSha256);
      return engine.execute<"submitTask">(caller.principal, { type: "submitTask", spec });
    },
    listTasks: ({ caller, query }) => {
      const all = query.all === "true";
      if (all) authorize(caller, "admin");
      return engine.read((core) => taskPage(core, caller.principal, { ...query, all }));
    },
    showTask: ({ caller, params }) =>
      engine.read((core, live) => {
        const task = visibleTask(core, caller.principal, params.taskId);
        const detail = taskDetail(task);
        return { ...detail, warnings: [...detail.warnings, ...taskWarnings(core, live, task)] };
      }),
    taskFiles: (call) => sendFiles(deps, call),
    listSegments: ({ caller, params, query }) =>
      engine.read((core) => segmentPage(visibleTask(core, caller.principal, params.taskId), query)),
    why: ({ caller, params }) =>
      engine.read((core, live) =>
        explain(
          core,
          live,
          visibleTask(core, caller.principal, params.taskId),
          deps.clock.monotonicMs(),
        ),
      ),
    controlTask: async (call) => {
      const taskId = await check(call);
      const { action } = call.body;
      return engine.execute<"controlTask">(call.caller.principal, {
        type: "controlTask",
        taskId,
        action,
      });
    },
    changeLimits: async (call) => {
      const taskId = await check(call);
      const limits = givenLimits(call.body.limits, call.request.body);
      return engine.execute<"changeLimits">(call.caller.principal, {
        type: "changeLimits",
        taskId,
        limits,
      });
    },
    retryPoints: async (call) => {
      const taskId = await check(call);
      const { pointIds } = call.body;
      return engine.execute<"retryPoints">(call.caller.principal, {
        type: "retryPoints",
        taskId,
        pointIds,
      });
    },
  };
}

/** The tarball that was submitted with the task. */
async function sendFiles(
  { engine, blobs }: RestDeps,
  { caller, params: { taskId }, reply }: Call<"taskFiles">,
): Promise<Readable> {
  const sha256 = await engine.read(
    (core) => visibleTask(core, caller.principal, taskId).spec.sandboxSha256,
  );
  const found = sha256 === null ? null : await blobs.get(sha256);
  if (found === null)
    throw new HyperpilotError({ code: "E_NOT_FOUND", message: `Task ${taskId} has no files.` });
  reply.type("application/gzip").header("content-length", found.info.sizeBytes);
  return found.stream;
}

/** The limits that the request names; the schema fills in defaults for the others, which must not be set by it. */
function givenLimits(
  parsed: Call<"changeLimits">["body"]["limits"],
  raw: unknown,
): Partial<Limits> {
  const given = Raw.parse(raw).limits;
  return Object.fromEntries(Object.entries(parsed).filter(([name]) => name in given));
}

const Raw = z.object({ limits: z.record(z.string(), z.unknown()) });

/** Pilots could not fetch a sandbox that was never uploaded. */
async function checkSandbox(deps: RestDeps, sha256: string | null): Promise<void> {
  if (sha256 === null) return;
  const found = await deps.blobs.get(sha256);
  found?.stream.destroy();
  if (found !== null) return;
  throw new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `The task's files ${sha256.slice(0, 12)}... are not on the server.`,
    why: "They were never uploaded, or their upload failed.",
    remedy: `Upload them first (PUT /sandboxes/${sha256}), then submit again; 'hyperpilot submit' does both.`,
  });
}

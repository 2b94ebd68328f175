/** Routes of queues and pilots. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { queueFields, valueAt } from "../../protocol/queue-fields.ts";
import { pilotPage, queueViews } from "../views/queues.ts";
import type { Handlers } from "./call.ts";
import type { RestDeps } from "./context.ts";

export function queueHandlers(
  deps: RestDeps,
): Pick<Handlers, "listQueues" | "putQueue" | "removeQueue" | "listPilots"> {
  const { engine, clock } = deps;
  return {
    listQueues: async () => ({
      items: await engine.read((core, live) => queueViews(core, live)),
      nextCursor: null,
    }),
    putQueue: async ({ caller, params, query, body, request }) => {
      if (params.name !== body.name) {
        throw new HyperpilotError({
          code: "E_QUEUE_CONFIG",
          message: `The address names queue '${params.name}', the body '${body.name}'.`,
          remedy: "Use the same name in both.",
        });
      }
      const given = queueFields(body.batch.kind)
        .map(({ path }) => path)
        .filter((path) => valueAt(request.body, path) !== undefined);
      const source = query.source === undefined ? {} : { source: query.source };
      const command = { type: "putQueue", config: body, given, ...source } as const;
      return engine.execute<"putQueue">(caller.principal, command);
    },
    removeQueue: ({ caller, params }) =>
      engine.execute<"removeQueue">(caller.principal, { type: "removeQueue", name: params.name }),
    listPilots: ({ caller: { principal }, query }) =>
      engine.read((core, live) =>
        pilotPage(core, live, query, { principal, monotonicMs: clock.monotonicMs() }),
      ),
  };
}

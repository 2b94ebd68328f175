/** Routes for people who run a site. */
import { HyperpilotError } from "../../protocol/errors.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import { drawBootSecret } from "../auth/tokens.ts";
import type { Core } from "../core.ts";
import { firstSince, scanJournal } from "../journal/scan.ts";
import { explainQueue } from "../queues/funnel.ts";
import { noSuchQueue } from "../queues/operator.ts";
import { ErrorGroups } from "../views/site/errors.ts";
import { harvesterViews } from "../views/site/harvesters.ts";
import { NodeTable } from "../views/site/nodes.ts";
import { queueTestView } from "../views/site/queue-test.ts";
import { pilotDetail, submissionViews } from "../views/site/submissions.ts";
import { Trace } from "../views/site/trace.ts";
import { isoTime } from "../views/tasks.ts";
import type { Handlers } from "./call.ts";
import type { RestDeps } from "./context.ts";

type SiteRoutes =
  | "showQueue"
  | "queueWhy"
  | "testQueue"
  | "showQueueTest"
  | "showPilot"
  | "pilotOutput"
  | "endPilot"
  | "listSubmissions"
  | "listHarvesters"
  | "listNodes"
  | "drainNode"
  | "listErrors"
  | "trace";

const DAY_MS = 86_400_000;
/** Evaluations that began longer before the time in question than this are not found. */
const TRACE_BACK_MS = 7 * DAY_MS;
const TRACE_AROUND_SECONDS = 60;

export function siteHandlers(deps: RestDeps): Pick<Handlers, SiteRoutes> {
  return { ...queueRoutes(deps), ...pilotRoutes(deps), ...journalRoutes(deps) };
}

function queueRoutes(
  deps: RestDeps,
): Pick<Handlers, "showQueue" | "queueWhy" | "testQueue" | "showQueueTest" | "listHarvesters"> {
  const { engine, clock } = deps;
  return {
    showQueue: ({ params: { name } }) =>
      engine.read((core) => {
        const origins = [...(core.queueOrigins.get(name) ?? [])].map(
          ([path, { source, by, atMs }]) => [path, { source, by, at: isoTime(atMs) }] as const,
        );
        return { config: queueNamed(core, name), origins: Object.fromEntries(origins) };
      }),
    queueWhy: ({ params: { name } }) =>
      engine.read((core, live) =>
        explainQueue(core, live, queueNamed(core, name), clock.monotonicMs()),
      ),
    testQueue: ({ caller, params: { name } }) => {
      const { id: submissionId, sha256, secret } = drawBootSecret();
      const command = { type: "testQueue", name, submissionId, sha256, secret } as const;
      return engine.execute<"testQueue">(caller.principal, command);
    },
    showQueueTest: ({ params: { name, id } }) =>
      engine.read((core, live) => {
        const test = live.tests.get(id);
        if (test?.queue !== name) throw noSuchTest(name, id);
        return queueTestView(queueNamed(core, name), test, clock.monotonicMs());
      }),
    listHarvesters: () =>
      engine.read((core, live) => ({
        items: harvesterViews(core, live, clock.monotonicMs()),
        nextCursor: null,
      })),
  };
}

function pilotRoutes(
  deps: RestDeps,
): Pick<Handlers, "showPilot" | "pilotOutput" | "endPilot" | "listSubmissions" | "drainNode"> {
  const { engine, clock } = deps;
  return {
    showPilot: ({ params: { id } }) =>
      engine.read((core, live) => pilotDetail(core, live, id, clock.monotonicMs())),
    pilotOutput: ({ caller, params: { id } }) =>
      engine.execute<"fetchOutput">(caller.principal, { type: "fetchOutput", id }),
    endPilot: ({ caller, params: { id }, body: { kill } }) =>
      engine.execute<"drainPilot">(caller.principal, { type: "drainPilot", id, kill }),
    listSubmissions: ({ query: { queue } }) =>
      engine.read((core, live) => ({
        items: submissionViews(core, live, { queue, nowMs: clock.monotonicMs() }),
        nextCursor: null,
      })),
    drainNode: ({ caller, body }) =>
      engine.execute<"drainNode">(caller.principal, { type: "drainNode", ...body }),
  };
}

function journalRoutes(deps: RestDeps): Pick<Handlers, "listNodes" | "listErrors" | "trace"> {
  const { engine, journal, clock } = deps;
  const headSeq = (): Promise<number> => engine.read((core) => core.seq);
  const sinceMs = (since: string | undefined): number =>
    since === undefined ? clock.wallMs() - DAY_MS : Date.parse(since);
  return {
    listNodes: async ({ query: { since, queue, bad } }) => {
      const fromMs = sinceMs(since);
      const table = new NodeTable(queue);
      const from = await firstSince(journal, await headSeq(), fromMs);
      const scan = await scanJournal(journal, from, (event) => {
        table.add(event);
        return true;
      });
      const seen = await engine.read((core, live) => table.views(core, live, bad === "true"));
      return { ...seen, truncated: seen.truncated || scan.truncated, since: isoTime(fromMs) };
    },
    listErrors: async ({ caller, query: { since, ...filter } }) => {
      const fromMs = sinceMs(since);
      const groups = new ErrorGroups(filter);
      const from = await firstSince(journal, await headSeq(), fromMs);
      const scan = await scanJournal(journal, from, (event) => {
        groups.add(event);
        return true;
      });
      const seen = await engine.read((core) => groups.views(core, caller.principal));
      return { ...seen, truncated: seen.truncated || scan.truncated, since: isoTime(fromMs) };
    },
    trace: async ({ query: { node, time, around = TRACE_AROUND_SECONDS } }) => {
      const atMs = Date.parse(time);
      const aroundMs = around * 1_000;
      const trace = new Trace({ node, fromMs: atMs - aroundMs, toMs: atMs + aroundMs });
      const fromMs = atMs - TRACE_BACK_MS;
      const from = await firstSince(journal, await headSeq(), fromMs);
      const scan = await scanJournal(journal, from, (event) => trace.add(event));
      const seen = await engine.read((core) => trace.views(core));
      return { ...seen, truncated: seen.truncated || scan.truncated, since: isoTime(fromMs) };
    },
  };
}

function queueNamed(core: Core, name: string): QueueConfig {
  const queue = core.queues.get(name);
  if (queue === undefined) throw noSuchQueue(name);
  return queue;
}

function noSuchTest(name: string, id: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `There is no test ${id} of queue ${name}.`,
    why: "It is not remembered any more, or the server has started anew.",
    remedy: `hyperpilot site queue test ${name}`,
  });
}

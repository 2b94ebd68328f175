/** Executors of effects: everything that the reactor decided and that leaves the process. */
import { assertNever } from "../protocol/assert-never.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { combinationsOf } from "../protocol/search-space.ts";
import { isBuiltin } from "../protocol/task.ts";
import type { Logger } from "../common/log.ts";
import type { KeptBlobs } from "./blobs/kept-blobs.ts";
import type { AskedSegment, Core, Task } from "./core.ts";
import type { Engine, Peers } from "./engine.ts";
import type { BootSecretIssuer } from "./gateway/boot-secrets.ts";
import type { Effect, ProposedPart } from "./inbox.ts";
import type { Asker } from "./samplers/asker.ts";
import type { AskRequest } from "./samplers/sampler.ts";
import { isSegmented, parametersOf, segmentOf, spaceOf } from "./tasks/segments.ts";
import { toldPointsIn } from "./tasks/steering.ts";

export interface EffectDeps {
  readonly core: Core;
  readonly peers: Peers;
  readonly asker: Asker;
  readonly log: Logger;
  readonly blobs: Pick<KeptBlobs, "settle">;
  readonly appendLog: (taskId: number, pointId: string, epoch: string, text: string) => void;
  readonly drawSecrets: BootSecretIssuer;
  /** Set once the engine exists: answers of steering go back through it. */
  readonly engine: () => Engine;
}

type Outward = Exclude<Effect, { type: "reply" | "replyError" }>;

export function createExecutor(deps: EffectDeps): (effect: Outward) => void {
  return (effect) => {
    switch (effect.type) {
      case "toPilot":
        return deps.peers.toPilot(effect.session, [effect.message]);
      case "toHarvester":
        return deps.peers.toHarvester(effect.session, [effect.message]);
      case "close":
        return deps.peers.close(effect.session, effect.code, effect.reason);
      case "ask":
        return ask(deps, effect);
      case "appendLog":
        return deps.appendLog(effect.taskId, effect.pointId, effect.epoch.join("."), effect.text);
      case "drawSecrets":
        return deps.drawSecrets(effect);
      case "audit":
        return deps.log.warn("audit", {
          what: effect.what,
          who: effect.who,
          detail: effect.detail,
        });
      case "blobs":
        return deps.blobs.settle(effect.referred, effect.unreferenced);
      default:
        return assertNever(effect);
    }
  };
}

/** Asks built-in steering in its worker thread; the request is read off the core now, the answer is posted as a message. */
function ask(deps: EffectDeps, effect: Extract<Outward, { type: "ask" }>): void {
  const { taskId, run, epoch } = effect;
  const task = deps.core.tasks.get(taskId);
  if (task?.run?.run !== run || !isBuiltin(task.spec.steering)) return;
  const { method } = task.spec.steering;
  const askSegment = async (asked: AskedSegment): Promise<ProposedPart> => {
    const request = askRequest(task, run, method, asked);
    const { texts, exhausted } = await deps.asker.ask(request, task.spec.steeringTimeoutSeconds);
    return { segment: asked.segment, texts, exhausted };
  };
  const answer = (
    value: Extract<Parameters<Engine["post"]>[0], { type: "proposed" }>["answer"],
  ): void => deps.engine().post({ type: "proposed", taskId, run, epoch, answer: value });
  Promise.all([...task.run.asked.values()].map(askSegment)).then(
    (parts) => answer({ ok: true, parts }),
    (error: unknown) => {
      const why = error instanceof HyperpilotError ? error.why : undefined;
      const reason = why === undefined ? errorText(error) : `${errorText(error)} ${why}`;
      deps.log.error("steeringFailed", { taskId, run, reason });
      answer({ ok: false, reason });
    },
  );
}

/**
 * The request of one run in one segment, also used to replay it. Independent draws from an endless space need no past points,
 * which keeps asks of very long random searches cheap.
 */
export function askRequest(
  task: Task,
  run: number,
  method: AskRequest["method"],
  asked: Pick<AskedSegment, "segment" | "wanted">,
): AskRequest {
  const { spec } = task;
  const { segment, wanted } = asked;
  const space = spaceOf(spec, segment);
  const needsPast = method !== "random" || combinationsOf(space) < Number.POSITIVE_INFINITY;
  const told = needsPast ? toldPointsIn(task, segmentOf(task, segment)) : [];
  const place = isSegmented(task) ? `segment:${segment}:` : "";
  return {
    method,
    space,
    direction: spec.direction,
    seed: `${spec.seed}:${place}run:${run}`,
    want: wanted,
    maxPoints: task.effective.maxPoints,
    points: told.map((point) => ({ ...point, text: parametersOf(task, point) })),
  };
}

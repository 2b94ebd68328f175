/** Executors of effects: everything that the reactor decided and that leaves the process. */
import { assertNever } from "../protocol/assert-never.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { combinationsOf, parseSearchSpace } from "../protocol/search-space.ts";
import { isBuiltin } from "../protocol/task.ts";
import type { Logger } from "../common/log.ts";
import type { Core, Task } from "./core.ts";
import type { Engine, Peers } from "./engine.ts";
import type { BootSecretIssuer } from "./gateway/boot-secrets.ts";
import type { Effect } from "./inbox.ts";
import type { Asker } from "./samplers/asker.ts";
import type { AskRequest } from "./samplers/sampler.ts";
import { toldPoints } from "./tasks/steering.ts";

export interface EffectDeps {
  readonly core: Core;
  readonly peers: Peers;
  readonly asker: Asker;
  readonly log: Logger;
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
  const answer = (
    value: Extract<Parameters<Engine["post"]>[0], { type: "proposed" }>["answer"],
  ): void => deps.engine().post({ type: "proposed", taskId, run, epoch, answer: value });
  deps.asker.ask(askRequest(task, run, task.spec.steering.method)).then(
    ({ texts, exhausted }) => answer({ ok: true, texts, exhausted }),
    (error: unknown) => {
      const why = error instanceof HyperpilotError ? error.why : undefined;
      const reason = why === undefined ? errorText(error) : `${errorText(error)} ${why}`;
      deps.log.error("steeringFailed", { taskId, run, reason });
      answer({ ok: false, reason });
    },
  );
}

/**
 * The request of one run, also used to replay it. Independent draws from an endless space need no past points, which keeps
 * asks of very long random searches cheap.
 */
export function askRequest(task: Task, run: number, method: AskRequest["method"]): AskRequest {
  const { spec } = task;
  const space = parseSearchSpace(spec.searchSpace, "searchSpace").parameters;
  const needsPast = method !== "random" || combinationsOf(space) < Number.POSITIVE_INFINITY;
  return {
    method,
    space,
    direction: spec.direction,
    seed: `${spec.seed}:run:${run}`,
    want: task.run?.wanted ?? 0,
    maxPoints: task.effective.maxPoints,
    points: needsPast ? toldPoints(task) : [],
  };
}

/** Commands of people and of the server itself, answered when they are durable. */
import { assertNever } from "../protocol/assert-never.ts";
import { HyperpilotError } from "../protocol/errors.ts";
import { SERVER } from "../protocol/limits.ts";
import type { Submission, Task } from "./core.ts";
import {
  CLOSE,
  type Command,
  type CommandOf,
  type CommandValues,
  type Principal,
} from "./inbox.ts";
import { replacePilotsOfChanged } from "./pilot-drain.ts";
import { turnOut } from "./pilots.ts";
import { dropStoredCheckpoint } from "./points/checkpoints.ts";
import { drainNode, endPilot, testQueue } from "./queues/operator.ts";
import { sessionOfHarvester } from "./queues/output-requests.ts";
import { changeLimits, control, retryPoints } from "./tasks/lifecycle.ts";
import { submitTask } from "./tasks/submission.ts";
import { effect, emit, type Turn } from "./turn.ts";

/** Carries out one command and returns its value. Errors: HyperpilotError; then nothing has changed. */
export function carryOut(
  turn: Turn,
  principal: Principal,
  command: Command,
): CommandValues[Command["type"]] {
  const by = principal.user;
  switch (command.type) {
    case "submitTask":
      return submitTask(turn, command.spec, by);
    case "controlTask": {
      const task = taskById(turn, command.taskId);
      control(turn, task, command.action, by);
      return stateOf(task);
    }
    case "changeLimits": {
      const task = taskById(turn, command.taskId);
      changeLimits(turn, task, command.limits, by);
      return stateOf(task);
    }
    case "retryPoints": {
      const task = taskById(turn, command.taskId);
      retryPoints(turn, task, command.pointIds, by);
      return stateOf(task);
    }
    case "putQueue": {
      const { config, given, source } = command;
      const former = turn.core.queues.get(config.name);
      emit(turn, {
        type: "queueChanged",
        name: config.name,
        config,
        by,
        ...(given === undefined ? {} : { given }),
        ...(source === undefined ? {} : { source }),
      });
      if (former !== undefined) replacePilotsOfChanged(turn, former, config);
      turn.live.mayDispatch = true;
      return config;
    }
    case "removeQueue":
      return removeQueue(turn, command, by);
    case "issueToken":
    case "revokeToken":
      return changeToken(turn, command, by);
    case "addBootSecrets":
      for (const { submissionId, sha256 } of command.secrets) {
        const { queue, harvester = "" } = command;
        const change = { kind: "bootIssued", sha256, queue, submissionId, harvester } as const;
        emit(turn, { type: "tokenChanged", change, by });
      }
      return null;
    case "testQueue":
      return testQueue(turn, command, by);
    case "drainPilot":
      return endPilot(turn, command, by);
    case "drainNode":
      return drainNode(turn, command, by);
    case "fetchOutput":
      throw new Error("answered by the reactor, later");
    case "dropCheckpoint":
      return dropStoredCheckpoint(turn, command);
    case "exchangeBootSecret":
      return exchangeBootSecret(turn, command);
    default:
      return assertNever(command);
  }
}

function taskById(turn: Turn, taskId: number): Task {
  const task = turn.core.tasks.get(taskId);
  if (task !== undefined) return task;
  throw new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `There is no task ${taskId}.`,
    remedy: "hyperpilot task list",
  });
}

function stateOf(task: Task): CommandValues["controlTask"] {
  return { taskId: task.id, state: task.state, reason: task.reason };
}

function removeQueue(turn: Turn, command: CommandOf<"removeQueue">, by: string): null {
  if (!turn.core.queues.has(command.name)) {
    throw new HyperpilotError({
      code: "E_NOT_FOUND",
      message: `There is no queue ${command.name}.`,
      remedy: "hyperpilot site queues",
    });
  }
  emit(turn, { type: "queueChanged", name: command.name, config: null, by });
  return null;
}

function changeToken(
  turn: Turn,
  command: CommandOf<"issueToken"> | CommandOf<"revokeToken">,
  by: string,
): null {
  if (command.type === "issueToken") {
    const { id, sha256, role, name } = command;
    emit(turn, { type: "tokenChanged", change: { kind: "issued", id, sha256, role, name }, by });
    return null;
  }
  if (!turn.core.tokens.has(command.id)) {
    throw new HyperpilotError({
      code: "E_NOT_FOUND",
      message: `There is no token ${command.id}.`,
      remedy: "hyperpilot admin tokens list",
    });
  }
  emit(turn, { type: "tokenChanged", change: { kind: "revoked", id: command.id }, by });
  return null;
}

/** Before the pilot can end again: a job that ended with no pilot known speaks against its queue. */
function tellConnected(turn: Turn, { id: submissionId, queue }: Submission): void {
  const session = sessionOfHarvester(turn, queue, submissionId);
  if (session === null) return;
  effect(turn, {
    type: "toHarvester",
    session,
    message: { type: "connected", queue, submissionId },
  });
}

/** A new process of a submission takes its place: the former one's leases end. The same process asking again keeps its id. */
function exchangeBootSecret(
  turn: Turn,
  command: CommandOf<"exchangeBootSecret">,
): CommandValues["exchangeBootSecret"] {
  const submissionId = turn.core.submissionOfSecret.get(command.sha256) ?? "";
  const submission = turn.core.submissions.get(submissionId);
  const queue = submission === undefined ? undefined : turn.core.queues.get(submission.queue);
  if (submission === undefined || queue === undefined) {
    throw new HyperpilotError({
      code: "E_UNAUTHENTICATED",
      message: "This boot secret is not valid.",
      why: "Its submission has ended, or its queue was removed.",
      remedy: "Nothing to do: the harvester submits new pilots where there is demand.",
    });
  }
  if (submission.exchanges >= SERVER.bootSecretExchangesMax) {
    throw new HyperpilotError({
      code: "E_LIMIT",
      message: `The boot secret of submission ${submission.id} was exchanged ${submission.exchanges} times.`,
      why: "The batch system starts this job again and again.",
      remedy: `Look at the pilot's output on the node and remove the job: hyperpilot site queues`,
    });
  }
  if (submission.formerInstances.has(command.instance)) {
    throw new HyperpilotError({
      code: "E_UNAUTHENTICATED",
      message: "Another pilot has taken the place of this one.",
      why: `The batch system has started the job of submission ${submission.id} again, or more than once.`,
      remedy: "Nothing to do: the other pilot goes on.",
    });
  }
  const isSame = submission.instance === command.instance && submission.pilotId !== null;
  const former = submission.pilotId;
  const pilotId = isSame && former !== null ? former : command.newPilotId;
  const change = {
    kind: "bootExchanged",
    submissionId: submission.id,
    instance: command.instance,
    pilotId,
  } as const;
  emit(turn, { type: "tokenChanged", change, by: "pilot" });
  if (former === null) tellConnected(turn, submission);
  const formerPilot = former === null || isSame ? undefined : turn.live.pilots.get(former);
  if (formerPilot !== undefined) {
    const detail = "the batch system started the submission again";
    const close = { code: CLOSE.replaced, reason: "a newer pilot came" };
    turnOut(turn, formerPilot, { reason: "newInstance", detail }, close);
  }
  return {
    pilotId,
    submissionId: submission.id,
    queue: queue.name,
    leaseSeconds: queue.leaseSeconds,
  };
}

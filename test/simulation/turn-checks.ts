/** What one turn of the server must have done: the answer that its item deserves, the grants it made, and where it left the tasks. */
import { itemKey } from "../../protocol/ids.ts";
import type { FromPilotOf, ToPilot } from "../../protocol/pilot-messages.ts";
import type { Core } from "../../server/core.ts";
import type { EventOf, HyperpilotEvent } from "../../server/events.ts";
import type { Effect, InboxItem } from "../../server/inbox.ts";
import type { Live } from "../../server/live.ts";
import { differenceOfPoint, differenceOfTask } from "./compare.ts";
import {
  atJobLimit,
  dueOf,
  hasEnded,
  isOlder,
  leaseKey,
  nameOf,
  sameEpoch,
  type LeaseModel,
  type Model,
  type TaskModel,
} from "./model.ts";
import { overdueNode } from "./model-fleet.ts";
import { mayGiveUp } from "./model-points.ts";
import { checkNodes } from "./node-checks.ts";
import type { SessionBook, SessionNote } from "./session-book.ts";

export interface Turn {
  readonly item: InboxItem;
  readonly events: readonly HyperpilotEvent[];
  readonly effects: readonly Effect[];
  readonly core: Core;
  readonly live: Live;
  readonly model: Model;
  readonly sessions: SessionBook;
  readonly nowMs: number;
}

type PilotItem = Extract<InboxItem, { type: "pilot" }>;

/** What the item of a turn deserves, judged before its events are taken. */
export interface Expected {
  /** To a result or an answer of a run. */
  readonly answer: "accepted" | "repeated" | "stale" | "violation" | null;
  /** Leases that must end in this turn, each by this reason. */
  readonly ending: ReadonlyMap<LeaseModel, string>;
  /** The task that a command names, as it was. */
  readonly before: {
    readonly hasEnded: boolean;
    readonly round: number;
    readonly limits: TaskModel["limits"];
  } | null;
}

export function expectedAnswer(turn: Turn): Expected {
  const { item, model } = turn;
  const nothing: Expected = { answer: null, ending: new Map(), before: null };
  if (item.type === "command" && "taskId" in item.command) {
    const task = model.tasks.get(item.command.taskId);
    if (task === undefined) return nothing;
    const { round, limits } = task;
    return { ...nothing, before: { hasEnded: hasEnded(task), round, limits } };
  }
  if (item.type === "command" && item.command.type === "exchangeBootSecret") {
    const { sha256, instance } = item.command;
    const id = turn.core.submissionOfSecret.get(sha256) ?? "";
    const former = model.submissions.get(id);
    if (former === undefined || former.instance === instance || former.pilotId === null)
      return nothing;
    // Another one has taken its place: it is refused.
    if (former.formerInstances.has(instance)) return nothing;
    return { ...nothing, ending: endingOf(model, former.pilotId, "newInstance") };
  }
  if (item.type === "harvester" && item.message.type === "ended") {
    const pilotId = model.submissions.get(item.message.submissionId)?.pilotId ?? "";
    return { ...nothing, ending: endingOf(model, pilotId, "submissionEnded") };
  }
  if (item.type === "pilot") return { ...nothing, ...expectedOfPilot(turn, item) };
  if (item.type === "tick") return { ...nothing, ending: silentLeases(turn) };
  return nothing;
}

function endingOf(model: Model, pilotId: string, reason: string): Map<LeaseModel, string> {
  return new Map([...(model.held.get(pilotId) ?? [])].map((lease) => [lease, reason]));
}

function silentLeases({ model, sessions, nowMs }: Turn): Map<LeaseModel, string> {
  const ending = new Map<LeaseModel, string>();
  for (const [pilotId, leases] of model.held) {
    const note = sessions.byPilot.get(pilotId);
    if (note === undefined || nowMs - note.heardMs <= leaseMs(model, pilotId)) continue;
    for (const lease of leases) ending.set(lease, "expired");
  }
  return ending;
}

function leaseMs(model: Model, pilotId: string): number {
  const submission = model.submissions.get(model.submissionOfPilot.get(pilotId) ?? "");
  return (
    1_000 * (model.queues.get(submission?.queue ?? "")?.leaseSeconds ?? Number.POSITIVE_INFINITY)
  );
}

function expectedOfPilot(turn: Turn, item: PilotItem): Partial<Expected> {
  const { model, sessions } = turn;
  const { message } = item;
  if (message.type === "hello") {
    if (!model.isCurrentPilot(item.pilotId)) return {};
    if (message.capacity.walltimeLeftSeconds !== null) model.hurried.add(item.pilotId);
    const held = new Set(message.leases.map(nameOfListed));
    const ending = endingOf(model, item.pilotId, "notHeld");
    for (const lease of ending.keys()) if (held.has(nameOf(lease))) ending.delete(lease);
    return { ending };
  }
  const note = sessions.bySession.get(item.session);
  if (note === undefined) return {};
  switch (message.type) {
    case "result":
    case "checkpoint":
      return { answer: formerIsStale(model, message, judge(model, note, message)) };
    case "runAnswer":
      return { answer: formerIsStale(model, message, judgeRun(model, note, message)) };
    case "bye":
      return { ending: endingOf(model, note.pilotId, "bye") };
    case "beat":
      return { ending: lackedTwice(model, note, message) };
    case "release": {
      const lease = model.leases.get(nameOfListed(message));
      const isIts = lease?.isCurrent === true && lease.pilotId === note.pilotId;
      return { ending: new Map(isIts ? [[lease, "release"]] : []) };
    }
    default:
      return {};
  }
}

/** What was granted after the backup that a server was restored from, nobody knows any more: that is no violation. */
function formerIsStale(
  model: Model,
  { epoch }: Listed,
  answer: Expected["answer"],
): Expected["answer"] {
  return answer === "violation" && epoch[0] < model.incarnation ? "stale" : answer;
}

type Listed = Pick<FromPilotOf<"release">, "item" | "epoch">;

export function nameOfListed({ item, epoch }: Listed): string {
  return leaseKey(
    item.taskId,
    item.type === "evaluation" ? item.pointId : `run:${item.run}`,
    epoch,
  );
}

function judge(
  model: Model,
  note: SessionNote,
  result: FromPilotOf<"result"> | FromPilotOf<"checkpoint">,
): Expected["answer"] {
  if (result.item.type !== "evaluation") return "violation";
  const point = model.tasks.get(result.item.taskId)?.points.get(result.item.pointId);
  const lease = model.leases.get(nameOfListed(result));
  if (point === undefined || isOlder(point.epoch, result.epoch)) return "violation";
  if (isOlder(result.epoch, point.epoch) || point.isRevoked) return "stale";
  if (lease === undefined || (lease.isCurrent && lease.pilotId !== note.pilotId))
    return "violation";
  if (result.seq <= lease.seq) return "repeated";
  return point.state === "ready" || point.state === "leased" ? "accepted" : "stale";
}

function judgeRun(
  model: Model,
  note: SessionNote,
  answer: FromPilotOf<"runAnswer">,
): Expected["answer"] {
  const task = model.tasks.get(answer.item.taskId);
  if (task === undefined || answer.item.type !== "steering" || answer.item.run >= task.nextRun)
    return "violation";
  const { run } = task;
  if (run?.run !== answer.item.run || isOlder(answer.epoch, run.epoch)) return "stale";
  if (!sameEpoch(answer.epoch, run.epoch)) return "violation";
  return run.lease === null || run.lease.pilotId === note.pilotId ? "accepted" : "violation";
}

function lackedTwice(
  model: Model,
  note: SessionNote,
  beat: FromPilotOf<"beat">,
): Map<LeaseModel, string> {
  const listed = new Set(beat.leases.map(nameOfListed));
  const lacked = new Set<string>();
  const ending = new Map<LeaseModel, string>();
  for (const lease of model.held.get(note.pilotId) ?? []) {
    const name = nameOf(lease);
    if (listed.has(name) || (note.grantOf.get(name) ?? 0) > beat.grantSeen) continue;
    if (note.lacked.has(name)) ending.set(lease, "notHeld");
    else lacked.add(name);
  }
  note.lacked = lacked;
  return ending;
}

/** Checks a turn whose events the model has taken. */
export function checkTurn(turn: Turn, expected: Expected): void {
  noteSessions(turn);
  checkEndedLeases(turn, expected);
  checkEffects(turn, expected);
  checkCommand(turn, expected);
  for (const task of turn.model.touchedTasks) checkTask(turn, task);
  for (const event of turn.events) checkGivenUp(turn.model, event);
  checkNodes(turn);
  const node = turn.events.length === 0 ? null : overdueNode(turn.model);
  turn.model.must(node === null, "offered", () => `node ${node} fails and is not drained`);
}

function noteSessions({ item, effects, sessions, model, nowMs }: Turn): void {
  if (item.type === "pilotClosed") return sessions.close(item.session);
  if (item.type === "tick") {
    for (const note of [...sessions.byPilot.values()])
      if (nowMs - note.heardMs > leaseMs(model, note.pilotId)) sessions.remove(note.pilotId);
    return;
  }
  if (item.type === "harvester" && item.message.type === "ended") {
    for (const note of [...sessions.byPilot.values()])
      if (!model.isCurrentPilot(note.pilotId)) sessions.remove(note.pilotId);
  }
  if (item.type === "command" && item.command.type === "exchangeBootSecret") {
    for (const note of [...sessions.byPilot.values()])
      if (!model.isCurrentPilot(note.pilotId)) sessions.remove(note.pilotId);
  }
  if (item.type !== "pilot") return;
  const isWelcome = effects.some((one) => one.type === "toPilot" && one.message.type === "welcome");
  if (item.message.type === "hello") {
    const { pilotId } = item;
    if (isWelcome)
      sessions.open({ pilotId, node: item.message.capacity.node }, item.session, nowMs);
    return;
  }
  const note = sessions.bySession.get(item.session);
  if (note === undefined) return;
  note.heardMs = nowMs;
  if (item.message.type === "bye") sessions.remove(note.pilotId);
}

/** Leases end by what ends leases, and those that had to end have ended. */
function checkEndedLeases({ events, item, model }: Turn, { ending }: Expected): void {
  const ended = new Map<string, string>();
  for (const event of events)
    if (event.type === "leaseEnded") ended.set(endedName(event, model), event.reason);
  for (const [lease, reason] of ending) {
    const how = reason === "expired" ? "expired" : "released";
    model.must(
      !lease.isCurrent,
      how,
      () => `${nameOf(lease)} had to end (${reason}) and is still current`,
    );
    if (lease.pointId !== null && ended.get(nameOf(lease)) !== undefined)
      ended.delete(nameOf(lease));
  }
  for (const [name, reason] of ended) {
    const isOwn =
      item.type === "pilot" && item.message.type === "result" && reason === "interrupted";
    const isStart = item.type === "started" && reason === "submissionEnded";
    const isRun = name.includes("run:");
    model.must(
      isOwn || isStart || isRun,
      reason === "expired" ? "expired" : "released",
      () => `${name} ends by ${reason} and nothing has ended it (${item.type})`,
    );
  }
}

function endedName(event: EventOf<"leaseEnded">, model: Model): string {
  const run = model.tasks.get(event.taskId)?.run?.run;
  return leaseKey(event.taskId, event.pointId ?? `run:${run}`, event.epoch);
}

function checkEffects(turn: Turn, expected: Expected): void {
  const { effects, model, sessions, item, events } = turn;
  const granted = new Set<string>();
  const stopped = new Set<string>();
  const answers: string[] = [];
  for (const effect of effects) {
    if (effect.type === "audit" && effect.what === "protocolViolation")
      model.report("peers", `${effect.who} is said to break the protocol: ${effect.detail}`);
    if (effect.type !== "toPilot") continue;
    const { message } = effect;
    const note = sessions.bySession.get(effect.session);
    if (message.type === "drain" && note !== undefined) note.isDrained = true;
    if (message.type === "grant") checkGrant(turn, { message, note, granted });
    if (message.type === "stop") {
      stopped.add(nameOfListed(message));
      const lease = model.leases.get(nameOfListed(message));
      const mayGoOn = lease?.isCurrent === true && lease.pilotId === note?.pilotId;
      model.must(!mayGoOn, "answered", () => `${nameOfListed(message)} is stopped and current`);
    }
    if (message.type !== "accepted" && message.type !== "stale") continue;
    answers.push(message.type);
    const asked = item.type === "pilot" ? item : null;
    const isForIt =
      asked !== null &&
      effect.session === asked.session &&
      "seq" in asked.message &&
      asked.message.seq === message.seq &&
      nameOfListed(asked.message) === nameOfListed(message);
    model.must(
      isForIt,
      "answered",
      () => `${nameOfListed(message)} is answered ${message.type} and nobody asked`,
    );
  }
  checkAnswer(turn, expected, answers);
  for (const event of events) checkTold(turn, event, { granted, stopped });
}

function checkAnswer(
  { model, item, events }: Turn,
  { answer }: Expected,
  answers: readonly string[],
): void {
  if (answer === null || item.type !== "pilot" || !("seq" in item.message)) return;
  const { message } = item;
  const name = nameOfListed(message);
  const should = answer === "repeated" ? "accepted" : answer;
  model.must(
    answers.length === (should === "violation" ? 0 : 1) && (answers[0] ?? "violation") === should,
    "answered",
    () =>
      `message ${message.seq} of ${name} deserves '${answer}' and is answered '${answers.join(", ")}'`,
  );
  const taken = events.filter(
    (event) =>
      ((event.type === "attemptEnded" || event.type === "leaseEnded") && event.seq !== null) ||
      event.type === "runAnswered" ||
      event.type === "checkpointStored" ||
      (event.type === "runFailed" && message.type === "runAnswer"),
  );
  model.must(
    taken.length === (answer === "accepted" ? 1 : 0),
    answer === "accepted" ? "accepted" : "fenced",
    () =>
      `message ${message.seq} of ${name} deserves '${answer}' and makes ${taken.map(({ type }) => type).join(", ") || "nothing"}`,
  );
}

interface GrantCheck {
  readonly message: Extract<ToPilot, { type: "grant" }>;
  readonly note: SessionNote | undefined;
  readonly granted: Set<string>;
}

function checkGrant({ model, events }: Turn, { message, note, granted }: GrantCheck): void {
  if (note === undefined)
    return model.report("answered", "a grant goes to a session without a pilot");
  model.must(
    message.grantNo === note.grantNo + 1,
    "answered",
    () => `grant ${message.grantNo} follows ${note.grantNo}`,
  );
  note.grantNo = message.grantNo;
  // The same grant may be sent again.
  const isNew = events.some((event) => event.type === "leaseGranted");
  model.must(
    !isNew || !note.isDrained,
    "offered",
    () => `${note.pilotId} is drained and gets a grant`,
  );
  for (const { taskId } of message.specs) note.specs.add(taskId);
  for (const item of message.items) {
    const name = nameOfListed(item);
    granted.add(name);
    note.grantOf.set(name, message.grantNo);
    const lease = model.leases.get(name);
    const isIts =
      lease?.isCurrent === true && lease.pilotId === note.pilotId && lease.slot === item.slot;
    model.must(
      isIts,
      "oneLease",
      () => `${name} is handed to ${note.pilotId}, which does not hold it`,
    );
    model.must(
      note.specs.has(item.item.taskId),
      "answered",
      () => `${name} is handed out without its task`,
    );
    if (item.item.type !== "evaluation") continue;
    const point = model.tasks.get(item.item.taskId)?.points.get(item.item.pointId);
    const seedKey = itemKey(item.item);
    const seed = model.seeds.get(seedKey) ?? item.seed;
    model.seeds.set(seedKey, item.seed);
    model.must(seed === item.seed, "answered", () => `${name} has seed ${item.seed}, not ${seed}`);
    model.must(
      item.pointText === point?.text && item.attempt === point.attempts + 1,
      "answered",
      () => `${name} is handed out as attempt ${item.attempt} with ${item.pointText}`,
    );
    const states = (item.checkpoints ?? []).map(({ sha256 }) => sha256).join();
    model.must(
      states === point?.checkpoints.join(),
      "resumed",
      () => `${name} may go on from ${states}, not ${point?.checkpoints.join()}`,
    );
  }
}

/** Pilots with a session are told of their grants, and of leases that were revoked. */
function checkTold(
  { model, sessions }: Turn,
  event: HyperpilotEvent,
  {
    granted,
    stopped,
  }: { readonly granted: ReadonlySet<string>; readonly stopped: ReadonlySet<string> },
): void {
  if (event.type === "leaseGranted") {
    const run = model.tasks.get(event.taskId)?.run?.run;
    const name = leaseKey(event.taskId, event.pointId ?? `run:${run}`, event.epoch);
    const hasSession = (sessions.byPilot.get(event.pilotId)?.session ?? null) !== null;
    model.must(
      !hasSession || granted.has(name),
      "answered",
      () => `${name} is granted and its pilot is not told`,
    );
  }
  if (event.type !== "pointFinal" || event.state !== "cancelled") return;
  const point = model.tasks.get(event.taskId)?.points.get(event.pointId);
  if (point?.isRevoked !== true) return;
  const lease = model.leases.get(leaseKey(event.taskId, point.id, point.epoch));
  const hasSession = (sessions.byPilot.get(lease?.pilotId ?? "")?.session ?? null) !== null;
  model.must(
    !hasSession || lease === undefined || stopped.has(nameOf(lease)),
    "killed",
    () => `${lease === undefined ? "" : nameOf(lease)} is revoked and its pilot is not stopped`,
  );
}

function checkCommand({ item, effects, model }: Turn, { before }: Expected): void {
  if (item.type !== "command" || before === null || !("taskId" in item.command)) return;
  const { command } = item;
  const task = model.tasks.get(command.taskId);
  if (task === undefined || !effects.some((effect) => effect.type === "reply")) return;
  const say = (what: string): void =>
    model.report("killed", `${what} task ${task.id} is ${task.state}, round ${task.round}`);
  if (command.type === "controlTask") {
    if (command.action === "pause" && task.state !== "paused") say("after pause");
    if (command.action === "kill" && task.state !== "aborted") say("after kill");
    if (command.action === "hardFinish" && !hasEnded(task)) say("after finish --hard");
    if (command.action === "finish" && !hasEnded(task) && !task.drains) say("after finish");
  }
  const isRaised =
    task.limits.maxPoints > before.limits.maxPoints || task.limits.maxJobs > before.limits.maxJobs;
  const startsRound =
    command.type === "retryPoints" || (command.type === "changeLimits" && isRaised);
  if (!startsRound || !before.hasEnded) return;
  model.must(
    task.round === before.round + 1,
    "rounds",
    () => `task ${task.id} had ended and is in round ${task.round} after ${command.type}`,
  );
}

/** Points are given up for a reason only. */
function checkGivenUp(model: Model, event: HyperpilotEvent): void {
  if (event.type !== "pointFinal" || event.state !== "notEvaluated") return;
  const task = model.tasks.get(event.taskId);
  const point = task?.points.get(event.pointId);
  model.must(
    task !== undefined && point !== undefined && mayGiveUp(task, point),
    "accounts",
    () => `point ${event.taskId}/${event.pointId} is given up after ${point?.inRow} interruptions`,
  );
}

function checkTask({ core, model }: Turn, task: TaskModel): void {
  const real = core.tasks.get(task.id);
  const difference = differenceOfTask(task, real);
  model.must(difference === null, "rules", () => difference ?? "");
  for (const point of model.touchedPoints) {
    if (task.points.get(point.id) !== point) continue;
    const found = differenceOfPoint(task, point, real?.points.get(point.id));
    model.must(
      found === null,
      found?.includes("has epoch") === true ? "fenced" : "rules",
      () => found ?? "",
    );
    const where = `point ${task.id}/${point.id}`;
    model.must(
      point.state !== "ready" || point.inRow < 10,
      "accounts",
      () => `${where} goes on after ${point.inRow} interruptions`,
    );
    model.must(
      point.state !== "cancelled" || !point.isRevoked || hasEnded(task) || task.round > 1,
      "killed",
      () => `${where} was cancelled`,
    );
  }
  checkProgress(model, task);
}

/** No task is left where nothing would ever bring it on. */
function checkProgress(model: Model, task: TaskModel): void {
  const { state, counts, run, jobs } = task;
  const where = `task ${task.id}`;
  model.must(
    jobs.size === counts.leased,
    "rules",
    () => `${where} has ${jobs.size} jobs and ${counts.leased} leased points`,
  );
  model.must(
    !task.drains || counts.ready === 0,
    "killed",
    () => `${where} drains and has ${counts.ready} ready points`,
  );
  model.must(dueOf(task) === 0, "steering", () => `${where} is due for a run and none is open`);
  if (state !== "running" && state !== "finishing") return;
  const rests = counts.leased === 0 && run === null;
  model.must(
    !rests || counts.ready > 0,
    "ends",
    () => `${where} is ${state} and nothing is left to do`,
  );
  model.must(
    counts.leased > 0 || counts.ready === 0 || !atJobLimit(task) || jobs.size > 0,
    "ends",
    () => `${where} is ${state} at its limit of jobs with ${counts.ready} ready points`,
  );
}

/** The core as a sequence of plain sections, and back: what a snapshot holds, and what two cores are compared by. */
import {
  createCore,
  type AskedSegment,
  type Core,
  type FailureCause,
  type ImageFailure,
  type Job,
  type LeaseRef,
  type NodeHealth,
  type OpenRun,
  type Point,
  type SegmentState,
  type Submission,
  type Task,
  type TokenRecord,
  type ValueOrigin,
} from "./core.ts";
import { asIs, mapOf, rowOf, setOf, type FieldForms, type Form } from "./plain-form.ts";
import { POINT, pointOfRow, rowOfPoint } from "./points/point-form.ts";
import { PointTable } from "./points/point-table.ts";
import { ReadyPoints } from "./points/ready-points.ts";
import { segmentOf } from "./tasks/segments.ts";

/** Rows of one section at most: bounds its size. */
const ROWS_MAX = 1_000;

const JOB: FieldForms<Job> = {
  id: asIs(),
  pilotId: asIs(),
  slot: asIs(),
  node: asIs(),
  queue: asIs(),
  charged: asIs(),
  points: asIs(),
};

const ASKED: FieldForms<AskedSegment> = {
  segment: asIs(),
  pending: asIs(),
  generated: asIs(),
  wanted: asIs(),
  place: asIs(),
  draws: asIs(),
  drawn: setOf(),
};

const asked = mapOf<number, AskedSegment>(rowOf(ASKED));

const RUN: FieldForms<OpenRun> = {
  run: asIs(),
  epoch: asIs(),
  try: asIs(),
  pending: asIs(),
  generated: asIs(),
  wanted: asIs(),
  asked: {
    toPlain: (value) => asked.toPlain(new Map(value)),
    fromPlain: asked.fromPlain,
  },
  draws: asIs(),
  nextDraw: asIs(),
  openedSeq: asIs(),
  lease: asIs(),
};
const run = rowOf(RUN);

/** Its best point is told apart. */
type ApartOfSegment = "best";

const SEGMENT: FieldForms<Omit<SegmentState, ApartOfSegment>> = {
  index: asIs(),
  counts: asIs(),
  generated: asIs(),
  askingEnded: asIs(),
  newsForSteering: asIs(),
  worstLoss: asIs(),
  lossCount: asIs(),
};
const segment = rowOf(SEGMENT);

const IMAGE_FAILURE: FieldForms<ImageFailure> = { count: asIs(), detail: asIs() };

const FAILURE: FieldForms<FailureCause> = { count: asIs(), nodes: setOf() };

/** What sections of their own hold. */
type Apart = "points" | "ready" | "best";

const TASK: FieldForms<Omit<Task, Apart>> = {
  id: asIs(),
  owner: asIs(),
  spec: asIs(),
  specSha256: asIs(),
  createdAtMs: asIs(),
  definedSeq: asIs(),
  endedAtMs: asIs(),
  state: asIs(),
  reason: asIs(),
  drains: asIs(),
  round: asIs(),
  limits: asIs(),
  effective: asIs(),
  counts: asIs(),
  segments: {
    toPlain: (segments) => segments.map((one) => segment.toPlain(one)),
    fromPlain: (plain) => {
      const rows = (plain as unknown[]).map((row) => segment.fromPlain(row));
      return rows.map((row) => ({ ...row, best: null }));
    },
  },
  asking: setOf(),
  due: setOf(),
  generated: asIs(),
  jobs: mapOf(rowOf(JOB)),
  activeCharged: asIs(),
  nextJobId: asIs(),
  jobsCharged: asIs(),
  interruptedJobs: setOf(),
  run: {
    toPlain: (value) => (value === null ? null : run.toPlain(value)),
    fromPlain: (plain) => (plain === null ? null : run.fromPlain(plain)),
  },
  nextRun: asIs(),
  runsFinished: asIs(),
  askingEnded: asIs(),
  steeringFailure: asIs(),
  surplusPoints: asIs(),
  lossCount: asIs(),
  attemptsFailed: asIs(),
  interruptions: asIs(),
  imageFailures: mapOf(rowOf(IMAGE_FAILURE)),
  failures: mapOf(rowOf(FAILURE)),
  durations: asIs(),
  bestSoFar: asIs(),
  version: asIs(),
};

const NODE: FieldForms<NodeHealth> = {
  lossesInRow: asIs(),
  tasks: setOf(),
  drained: asIs(),
  reason: asIs(),
};

const TOKEN: FieldForms<TokenRecord> = {
  id: asIs(),
  sha256: asIs(),
  role: asIs(),
  name: asIs(),
  createdAtMs: asIs(),
  revoked: asIs(),
};

const SUBMISSION: FieldForms<Submission> = {
  id: asIs(),
  queue: asIs(),
  sha256: asIs(),
  exchanges: asIs(),
  instance: asIs(),
  formerInstances: setOf(),
  pilotId: asIs(),
  harvester: asIs(),
};

type Scalar = "seq" | "incarnation" | "nextTaskId";
const SCALARS: FieldForms<Pick<Core, Scalar>> = {
  seq: asIs(),
  incarnation: asIs(),
  nextTaskId: asIs(),
};

const TASK_ROW = rowOf(TASK);
const SCALAR_ROW = rowOf(SCALARS);

/** Maps of the core that are sections of rows [key, value]. */
const MAPS = {
  tasksByUuid: asIs<number>(),
  queues: asIs<unknown>(),
  queueOrigins: mapOf<string, ValueOrigin>(asIs()),
  nodes: rowOf(NODE),
  tokens: rowOf(TOKEN),
  submissions: rowOf(SUBMISSION),
  submissionOfSecret: asIs<string>(),
  blobs: asIs<number>(),
  leasedByOwner: asIs<number>(),
} as const;
type MapName = keyof typeof MAPS;

/** Of the present turn alone, or told by sections of their own. */
type Elsewhere = "unreferenced" | "tasks" | "activeTasks" | "leasesByPilot";
type Unwritten = Exclude<keyof Core, Scalar | MapName | Elsewhere>;
/** A field that the core gains does not compile until a section holds it. */
const WRITTEN: [Unwritten] extends [never] ? "all" : Unwritten = "all";

/** Names of all fields that are written: a snapshot of other fields is not read. */
export const CORE_FIELDS: readonly string[] = [
  WRITTEN,
  ...[
    SCALARS,
    MAPS,
    TASK,
    SEGMENT,
    POINT,
    JOB,
    RUN,
    ASKED,
    FAILURE,
    IMAGE_FAILURE,
    NODE,
    TOKEN,
    SUBMISSION,
  ].map((table) => Object.keys(table).join()),
];

export type Section = readonly [name: string, ...content: unknown[]];

/** All of the core, in sections of bounded size; equal cores give equal sections. */
export function* sectionsOf(core: Core): Generator<Section> {
  yield ["core", SCALAR_ROW.toPlain(core)];
  for (const name of Object.keys(MAPS) as MapName[]) {
    const form = MAPS[name] as Form<unknown>;
    for (const rows of blocksOf<[string, unknown]>(core[name]))
      yield [name, rows.map(([key, value]) => [key, form.toPlain(value)])];
  }
  for (const task of core.tasks.values()) yield* sectionsOfTask(task);
  yield ["activeTasks", [...core.activeTasks].map(({ id }) => id)];
  for (const rows of blocksOf(core.leasesByPilot)) yield ["leases", rows.map(leasesOfPilot)];
}

function* sectionsOfTask(task: Task): Generator<Section> {
  yield ["task", TASK_ROW.toPlain(task)];
  for (const points of blocksOf(task.points.values()))
    yield ["points", task.id, points.map(rowOfPoint)];
  for (const points of blocksOf(task.ready.waiting(isReady)))
    yield ["ready", task.id, points.map(({ id }) => id)];
  const bestOfSegments = task.segments.map(({ best }) => best?.id ?? null);
  yield ["best", task.id, task.best?.id ?? null, bestOfSegments];
}

function isReady(point: Point): boolean {
  return point.state === "ready";
}

function leasesOfPilot([pilotId, leases]: [string, Map<string, LeaseRef>]): unknown {
  return [pilotId, [...leases].map(([key, { task, point }]) => [key, task.id, point?.id ?? null])];
}

function* blocksOf<T>(items: Iterable<T>): Generator<T[]> {
  let block: T[] = [];
  for (const item of items) {
    block.push(item);
    if (block.length < ROWS_MAX) continue;
    yield block;
    block = [];
  }
  if (block.length > 0) yield block;
}

export interface CoreReader {
  /** Sections in the order in which they were written. Throws on one that does not fit those before it. */
  add(section: unknown): void;
  /** The core, once all sections were added. */
  finish(): Core;
}

/** Builds a core from the sections of another. The hashes of its file say that they are what was written. */
export function createCoreReader(): CoreReader {
  const core = createCore();
  return {
    add(section) {
      const [name, ...content] = section as [string, ...unknown[]];
      addSection(core, name, content);
    },
    finish: () => core,
  };
}

function addSection(core: Core, name: string, content: readonly unknown[]): void {
  switch (name) {
    case "core":
      return void Object.assign(core, SCALAR_ROW.fromPlain(content[0]));
    case "task": {
      const read = TASK_ROW.fromPlain(content[0]);
      const points = new PointTable<Point>(read.spec.segments.length);
      const ready = new ReadyPoints<Point>(read.segments.length);
      const task: Task = { ...read, points, ready, best: null };
      return void core.tasks.set(task.id, task);
    }
    case "points":
      return addPoints(taskIn(core, content[0]), content[1] as unknown[]);
    case "ready": {
      const task = taskIn(core, content[0]);
      for (const id of content[1] as string[]) task.ready.push(pointIn(task, id));
      return;
    }
    case "best": {
      const task = taskIn(core, content[0]);
      const [, best, ofSegments] = content as [unknown, string | null, (string | null)[]];
      if (best !== null) task.best = pointIn(task, best);
      for (const [index, id] of ofSegments.entries())
        if (id !== null) segmentOf(task, index).best = pointIn(task, id);
      return;
    }
    case "activeTasks":
      for (const id of content[0] as number[]) core.activeTasks.add(taskIn(core, id));
      return;
    case "leases":
      return addLeases(core, content[0] as PlainLeases);
    default: {
      if (!Object.hasOwn(MAPS, name)) throw new Error(`unknown section ${name}`);
      const form = MAPS[name as MapName] as Form<unknown>;
      const map = core[name as MapName] as Map<string, unknown>;
      for (const [key, value] of content[0] as [string, unknown][])
        map.set(key, form.fromPlain(value));
    }
  }
}

function addPoints(task: Task, rows: readonly unknown[]): void {
  for (const row of rows) {
    const point = pointOfRow(row);
    // One string for all points of a job, as where it was granted.
    const job = task.jobs.get(point.jobId);
    if (job?.node === point.node) point.node = job.node;
    task.points.add(point);
  }
}

type PlainLeases = readonly [
  pilotId: string,
  leases: readonly [key: string, taskId: number, pointId: string | null][],
][];

function addLeases(core: Core, pilots: PlainLeases): void {
  for (const [pilotId, leases] of pilots) {
    const refs = new Map<string, LeaseRef>();
    for (const [key, taskId, pointId] of leases) {
      const task = taskIn(core, taskId);
      refs.set(key, { task, point: pointId === null ? null : pointIn(task, pointId) });
    }
    core.leasesByPilot.set(pilotId, refs);
  }
}

function taskIn(core: Core, id: unknown): Task {
  const task = core.tasks.get(Number(id));
  if (task === undefined) throw new Error(`no task ${String(id)} before its parts`);
  return task;
}

function pointIn(task: Task, id: string): Point {
  const point = task.points.get(id);
  if (point === undefined) throw new Error(`no point ${task.id}/${id} before what names it`);
  return point;
}

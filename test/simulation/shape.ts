/** The form of one simulation, drawn from its seed: how large, how long, and which troubles it is made of. */
import type { Random } from "./random.ts";

export const ACTIONS = [
  "submit",
  "submitTwice",
  "control",
  "changeLimits",
  "retry",
  "read",
  "setQueue",
  "drainNode",
  "drainPilot",
  "dropConnection",
  "loseAnswers",
  "halfOpen",
  "partition",
  "slowPath",
  "doubleFrames",
  "crashServer",
  "takeBackup",
  "restoreBackup",
  "diskFault",
  "slowDisk",
  "damageBlob",
  "busyServer",
  "jumpClock",
  "freezePilot",
  "killPilot",
  "crashNode",
  "evict",
  "loseJob",
  "zombie",
  "crashHarvester",
  "batchOutage",
  "refusedSubmits",
] as const;
export type ActionKind = (typeof ACTIONS)[number];

type Weights = Readonly<Partial<Record<ActionKind, number>>>;

/** Kinds of days. Each seed has one; what it is made of is drawn by these weights. */
const DAYS = {
  mixed: {
    control: 4,
    changeLimits: 3,
    retry: 2,
    read: 2,
    submit: 2,
    submitTwice: 1,
    setQueue: 1,
    drainNode: 0.5,
    drainPilot: 1,
    dropConnection: 3,
    loseAnswers: 4,
    halfOpen: 2,
    partition: 3,
    slowPath: 2,
    doubleFrames: 4,
    crashServer: 3,
    takeBackup: 1,
    restoreBackup: 0.5,
    diskFault: 1,
    slowDisk: 1,
    damageBlob: 2,
    busyServer: 1,
    jumpClock: 1,
    freezePilot: 2,
    killPilot: 2,
    crashNode: 1,
    evict: 3,
    loseJob: 1,
    zombie: 1,
    crashHarvester: 2,
    batchOutage: 1,
    refusedSubmits: 1,
  },
  network: {
    dropConnection: 6,
    loseAnswers: 8,
    halfOpen: 3,
    partition: 6,
    slowPath: 5,
    doubleFrames: 6,
    jumpClock: 1,
    read: 1,
    freezePilot: 2,
  },
  storage: {
    crashServer: 8,
    takeBackup: 2,
    restoreBackup: 1,
    diskFault: 4,
    slowDisk: 4,
    damageBlob: 4,
    busyServer: 2,
    dropConnection: 2,
    read: 2,
    control: 1,
    submitTwice: 1,
  },
  evictions: {
    evict: 10,
    killPilot: 4,
    crashNode: 2,
    loseJob: 2,
    zombie: 4,
    freezePilot: 3,
    crashHarvester: 2,
    batchOutage: 1,
  },
  people: {
    control: 10,
    changeLimits: 8,
    retry: 6,
    submit: 4,
    submitTwice: 2,
    setQueue: 2,
    drainNode: 1,
    drainPilot: 2,
    read: 2,
    dropConnection: 1,
    evict: 1,
    crashServer: 1,
  },
  zombies: {
    freezePilot: 8,
    zombie: 6,
    takeBackup: 1.5,
    restoreBackup: 1,
    partition: 4,
    loseJob: 3,
    jumpClock: 2,
    busyServer: 2,
    slowPath: 2,
    control: 2,
  },
} satisfies Record<string, Weights>;

export interface Shape {
  readonly day: keyof typeof DAYS;
  readonly weights: Weights;
  /** Nodes and payloads break down again and again, so that points see many interruptions in a row. */
  readonly isStormy: boolean;
  /** Faults stop in the end, and everything must come to its end. */
  readonly heals: boolean;
  readonly nodes: number;
  readonly slotsPerPilot: number;
  readonly maxPilots: number;
  readonly leaseSeconds: number;
  readonly idleSeconds: number;
  /** Time with faults. */
  readonly troubledMs: number;
  readonly actions: number;
  readonly tasks: number;
}

export function shapeOf(random: Random, number: number): Shape {
  const days = Object.keys(DAYS) as (keyof typeof DAYS)[];
  const day = days[number % days.length]!;
  const heals = random.chance(0.6);
  const troubledMs = heals ? random.int(120, 300) * 1_000 : random.int(200, 420) * 1_000;
  return {
    day,
    weights: DAYS[day],
    isStormy: random.chance(0.15),
    heals,
    nodes: random.int(1, 4),
    slotsPerPilot: random.int(1, 3),
    maxPilots: random.int(1, 4),
    leaseSeconds: random.pick([12, 20, 40]),
    idleSeconds: random.pick([8, 20, 60]),
    troubledMs,
    actions: Math.round((troubledMs / 1_000) * random.between(0.08, 0.25)),
    tasks: random.int(1, 3),
  };
}

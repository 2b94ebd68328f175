/** What goes wrong, one function for each kind. */
import type { BatchSystem } from "./batch-system.ts";
import type { Cluster } from "./cluster.ts";
import type { HarvesterHost } from "./harvester-process.ts";
import type { PilotHandle } from "./pilot-process.ts";
import type { Action } from "./plan.ts";
import type { Random } from "./random.ts";
import type { ActionKind } from "./shape.ts";
import type { Users } from "./users.ts";

export interface Parts {
  readonly cluster: Cluster;
  readonly batch: BatchSystem;
  readonly harvester: HarvesterHost;
  readonly users: Users;
}

type Deed = (parts: Parts, random: Random, action: Action) => void;

/** How long faults last: mostly around the time of a lease. */
function spanMs({ cluster }: Parts, random: Random): number {
  return random.between(0.2, 3) * cluster.shape.leaseSeconds * 1_000;
}

function onPilot(deed: (pilot: PilotHandle, parts: Parts, random: Random) => void): Deed {
  return (parts, random) => {
    const { alive } = parts.batch;
    if (alive.length > 0) deed(random.pick(alive), parts, random);
  };
}

const DEEDS: Readonly<Record<ActionKind, Deed>> = {
  submit: ({ users }, random, { index }) => users.submit(random, `search ${index}`),
  submitTwice: ({ users }, random) => users.submitAgain(random),
  control: ({ users }, random) => users.control(random),
  changeLimits: ({ users }, random) => users.changeLimits(random),
  retry: ({ users }, random) => users.retry(random),
  read: ({ users }) => users.read(),
  setQueue: ({ users }, random) => users.setQueue(random),
  drainNode: ({ cluster, users }, random) =>
    users.drainNode(random, `n${random.int(1, cluster.shape.nodes)}`),
  drainPilot: ({ users }, random) => users.drainPilot(random),
  dropConnection: ({ cluster }, random) => {
    const open = cluster.network.connections();
    if (open.length > 0) cluster.network.cut(random.pick(open), "both");
  },
  loseAnswers: ({ cluster }, random) => {
    const { network, scheduler } = cluster;
    const path = random.pick(network.paths());
    const ms = random.between(200, 6_000);
    path.blockedUntilMs.down = Math.max(path.blockedUntilMs.down, scheduler.nowMs + ms);
    scheduler.after(ms, () => {
      for (const connection of network.connections())
        if (connection.path === path) network.cut(connection, "both");
    });
  },
  halfOpen: ({ cluster }, random) => {
    const open = cluster.network.connections();
    if (open.length > 0) cluster.network.cut(random.pick(open), random.pick(["client", "server"]));
  },
  partition: (parts, random) => {
    const { network, scheduler } = parts.cluster;
    const untilMs = scheduler.nowMs + spanMs(parts, random);
    const { blockedUntilMs } = random.pick(network.paths());
    const which = random.pick(["both", "up", "down"]);
    if (which !== "down") blockedUntilMs.up = untilMs;
    if (which !== "up") blockedUntilMs.down = untilMs;
  },
  slowPath: (parts, random) => {
    const { network, scheduler } = parts.cluster;
    const path = random.pick(network.paths());
    path.slow[random.pick(["up", "down"] as const)] = {
      untilMs: scheduler.nowMs + 2 * spanMs(parts, random),
      ms: random.between(0.5, 2) * parts.cluster.shape.leaseSeconds * 1_000,
    };
  },
  doubleFrames: (parts, random) => {
    const { network, scheduler } = parts.cluster;
    random.pick(network.paths()).doublesUntilMs = scheduler.nowMs + 3 * spanMs(parts, random);
  },
  crashServer: ({ cluster }, random) => {
    const { server, disk } = cluster;
    const downMs = random.chance(0.2) ? random.between(10, 60) * 1_000 : random.between(300, 6_000);
    const crash = (): void => {
      server.crash("killed");
      server.startAfter(downMs);
    };
    // Mostly while something is on its way to the disk, as that is when a crash hurts.
    if (random.chance(0.6)) disk.trap = { writesLeft: random.below(6), spring: crash };
    else crash();
  },
  takeBackup: ({ cluster }) => {
    const { server, disk, blobs } = cluster;
    if (server.process === null) return;
    disk.takeBackup(server.process.clock.wallMs());
    blobs.takeBackup();
  },
  restoreBackup: ({ cluster }, random) => {
    cluster.server.restoreBackup();
    cluster.server.startAfter(random.between(1, 20) * 1_000);
  },
  diskFault: ({ cluster }, random) => {
    cluster.disk.fault = {
      writesLeft: random.below(12),
      kind: random.pick(["nothingWritten", "partWritten", "allWritten"]),
      code: random.pick(["ENOSPC", "EIO"]),
    };
  },
  slowDisk: ({ cluster }, random) => {
    cluster.disk.syncMsMax = random.pick([2, 20, 500, 4_000]);
  },
  damageBlob: ({ cluster: { blobs, oracle } }, random) => {
    if (blobs.damage(random)) oracle.reached("blob damaged");
  },
  busyServer: (parts, random) => parts.cluster.server.process?.freeze(spanMs(parts, random)),
  jumpClock: ({ cluster, batch, harvester }, random) => {
    const processes = [
      cluster.server.process,
      harvester.process,
      ...batch.alive.map(({ process }) => process),
    ];
    const process = random.pick(processes);
    const hours = random.pick([-24 * 365 * 50, -1, -0.1, 0.1, 1, 24 * 365 * 12]);
    if (process !== null) process.wallOffsetMs += hours * 3_600_000;
  },
  freezePilot: onPilot(({ process }, parts, random) => {
    const frozen = random.chance(0.15) ? parts.harvester.process : process;
    frozen?.freeze(spanMs(parts, random));
  }),
  killPilot: onPilot((pilot) => pilot.kill("killed")),
  crashNode: onPilot((pilot, { batch }, random) =>
    batch.crashNode(pilot, random.between(1, 60) * 1_000, random.chance(0.5)),
  ),
  evict: onPilot((pilot, { batch }, random) =>
    batch.evict(pilot, {
      graceMs: random.pick([0, 3_000, 30_000]),
      isRequeued: random.chance(0.6),
    }),
  ),
  loseJob: onPilot((pilot, { batch }, random) => batch.loseJob(pilot, random.chance(0.3))),
  zombie: onPilot((pilot, parts, random) => {
    const { network, scheduler } = parts.cluster;
    const { blockedUntilMs } = network.path(pilot.node);
    blockedUntilMs.up = blockedUntilMs.down = scheduler.nowMs + spanMs(parts, random);
    parts.batch.loseJob(pilot, true);
  }),
  crashHarvester: ({ cluster, harvester }, random) => {
    harvester.crash();
    cluster.scheduler.after(random.between(500, 20_000), () => harvester.start());
  },
  batchOutage: (parts, random) => {
    parts.batch.outageUntilMs = parts.cluster.scheduler.nowMs + spanMs(parts, random);
  },
  refusedSubmits: (parts, random) => {
    parts.batch.refusesUntilMs = parts.cluster.scheduler.nowMs + spanMs(parts, random);
  },
};

export function perform(parts: Parts, action: Action): void {
  const { cluster } = parts;
  cluster.trace.note("world", () => `${action.kind} (${action.index})`);
  DEEDS[action.kind](parts, cluster.random.fork(`action ${action.index}`), action);
}

/** No fault goes on. */
export function heal({ cluster, batch, harvester }: Parts): void {
  cluster.trace.note("world", () => "the faults stop");
  cluster.isCalm = true;
  for (const path of cluster.network.paths()) {
    path.blockedUntilMs.up = path.blockedUntilMs.down = 0;
    path.slow.up = path.slow.down = { untilMs: 0, ms: 0 };
    path.doublesUntilMs = 0;
  }
  cluster.disk.fault = null;
  cluster.disk.trap = null;
  cluster.disk.syncMsMax = 5;
  batch.outageUntilMs = batch.refusesUntilMs = 0;
  cluster.server.startAfter(100);
  harvester.start();
}

/** What all parts of one simulation share. */
import type { ImageCause } from "../../protocol/pilot-messages.ts";
import type { Oracle } from "./oracle.ts";
import type { BlobStore } from "./blob-store.ts";
import type { Network } from "./network.ts";
import { Process } from "./process.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import type { ServerHost } from "./server-process.ts";
import type { Shape } from "./shape.ts";
import type { StableDisk } from "./stable-journal.ts";
import type { Trace } from "./trace.ts";

export interface Cluster {
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly disk: StableDisk;
  readonly blobs: BlobStore;
  readonly oracle: Oracle;
  readonly trace: Trace;
  readonly shape: Shape;
  readonly server: ServerHost;
  /** Payloads' ways by the uuid of their task. */
  readonly habits: Map<string, Habits>;
  /** The faults have stopped: nodes, steering and the batch system do what they should. */
  isCalm: boolean;
}

/** How the payloads of one search behave. Shares of evaluations, 0 to 1. */
export interface Habits {
  readonly secondsMean: number;
  readonly fails: number;
  readonly badOutput: number;
  readonly diverges: number;
  readonly timesOut: number;
  /** The node is to blame. */
  readonly interrupted: number;
  /** Why the image cannot be had, and the share of nodes and days on which that is so; null: it can. */
  readonly image: { readonly cause: ImageCause; readonly share: number } | null;
  /** Steps after which the payload saves its state, and how often one fails that goes on from there; null: it saves nothing. */
  readonly saves: { readonly stepSeconds: number; readonly failsRestored: number } | null;
  /** Exit codes that failures have, so that causes differ. */
  readonly exitCodes: number;
  /** Steering: shares of answers that are nonsense, none, too few, too many, or the empty list. */
  readonly steering: {
    readonly nonsense: number;
    readonly fails: number;
    readonly fewer: number;
    readonly more: number;
    readonly empty: number;
    readonly secondsMean: number;
  };
}

/** Starts a process with a clock of its own. */
export function startProcess({ scheduler, random }: Cluster, name: string): Process {
  return new Process(name, scheduler, random.fork(`clock of ${name}`).int(0, 10_000_000));
}

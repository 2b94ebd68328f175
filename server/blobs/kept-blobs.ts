/** Blobs that live as long as something refers to them; what is uploaded and not yet referred to is safe meanwhile. */
import { errorText } from "../../protocol/errors.ts";
import { SERVER } from "../../protocol/limits.ts";
import type { Clock } from "../../common/clock.ts";
import type { Logger } from "../../common/log.ts";
import { startRepeating } from "../../common/repeated.ts";
import type { Blobs } from "./blobs.ts";

export interface KeptBlobs extends Blobs {
  /** References that are durable now: uploads they were made for, and blobs that lost their last one. */
  settle(referred: readonly string[], unreferenced: readonly string[]): void;
  /** Deletes what nothing has referred to for long, such as uploads of evaluations that were lost. Resolves with their number. */
  sweep(): Promise<number>;
}

export interface KeptBlobsDeps {
  readonly blobs: Blobs;
  /** References to a blob now. */
  readonly referencesTo: (sha256: string) => number;
  readonly clock: Clock;
  readonly log: Logger;
}

const PAGE_ITEMS = 1_000;

interface Claim {
  uploads: number;
  lastMs: number;
}

export function createKeptBlobs(deps: KeptBlobsDeps): KeptBlobs {
  const { blobs, referencesTo, clock, log } = deps;
  /** Uploads that nothing refers to yet. */
  const claims = new Map<string, Claim>();
  const deletions = new Map<string, Promise<void>>();
  /** When the sweep first found a blob that nothing refers to. */
  const foundMs = new Map<string, number>();

  const isFree = (sha256: string): boolean => referencesTo(sha256) === 0 && !claims.has(sha256);

  function claim(sha256: string): void {
    const uploads = (claims.get(sha256)?.uploads ?? 0) + 1;
    claims.set(sha256, { uploads, lastMs: clock.monotonicMs() });
  }

  function unclaim(sha256: string): void {
    const known = claims.get(sha256);
    if (known === undefined) return;
    known.uploads -= 1;
    if (known.uploads <= 0) claims.delete(sha256);
  }

  function remove(sha256: string): Promise<void> {
    const deletion = blobs
      .delete(sha256)
      .catch((error: unknown) => log.error("blobNotDeleted", { sha256, error: errorText(error) }))
      .finally(() => deletions.delete(sha256));
    deletions.set(sha256, deletion);
    return deletion;
  }

  async function sweepOne(sha256: string, nowMs: number): Promise<boolean> {
    if (!isFree(sha256)) {
      foundMs.delete(sha256);
      return false;
    }
    const sinceMs = foundMs.get(sha256) ?? nowMs;
    foundMs.set(sha256, sinceMs);
    if (nowMs - sinceMs < SERVER.blobUnreferencedMs) return false;
    foundMs.delete(sha256);
    await remove(sha256);
    return true;
  }

  return {
    async put(source, expected, maxBytes) {
      // Claimed before the first byte: a deletion that begins from now on does not happen, one that runs is waited for.
      claim(expected.sha256);
      try {
        await deletions.get(expected.sha256);
        return await blobs.put(source, expected, maxBytes);
      } catch (error) {
        unclaim(expected.sha256);
        throw error;
      }
    },
    get: (sha256, startByte) => blobs.get(sha256, startByte),
    delete: (sha256) => blobs.delete(sha256),
    list: (cursor, limit) => blobs.list(cursor, limit),
    settle: (referred, unreferenced) => {
      for (const sha256 of referred) unclaim(sha256);
      for (const sha256 of unreferenced) if (isFree(sha256)) void remove(sha256);
    },
    async sweep() {
      const nowMs = clock.monotonicMs();
      for (const [sha256, { lastMs }] of claims)
        if (nowMs - lastMs >= SERVER.blobUnreferencedMs) claims.delete(sha256);
      let deleted = 0;
      let cursor = "";
      for (;;) {
        const page = await blobs.list(cursor, PAGE_ITEMS);
        for (const sha256 of page) if (await sweepOne(sha256, nowMs)) deleted += 1;
        const last = page.at(-1);
        if (last === undefined) return deleted;
        cursor = last;
      }
    },
  };
}

/** Sweeps at a fixed interval until `stop`, which waits for a sweep that runs. */
export function startSweeping(
  { blobs, clock, log }: { readonly blobs: KeptBlobs; readonly clock: Clock; readonly log: Logger },
  intervalMs: number = SERVER.blobSweepIntervalMs,
): { stop(): Promise<void> } {
  return startRepeating(clock, intervalMs, async () => {
    try {
      const deleted = await blobs.sweep();
      if (deleted > 0) log.info("blobsSwept", { deleted });
    } catch (error) {
      log.error("sweepFailed", { error: errorText(error) });
    }
  });
}

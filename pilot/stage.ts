/** Tarballs of tasks' files on this node: each is fetched once, checked, and kept while there is room. */
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { sha256OfFile } from "../common/archive.ts";
import type { Clock } from "../common/clock.ts";
import { HyperpilotError } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import type { ServerApi } from "./server-api.ts";
import { tryAgain } from "./try-again.ts";

export interface StageOptions {
  readonly api: Pick<ServerApi, "getSandbox">;
  /** Made when missing. */
  readonly directory: string;
  readonly clock: Clock;
  readonly random: () => number;
}

/** A tarball in use; it stays until it is released. */
export interface Staged {
  readonly file: string;
  release(): void;
}

export interface Stage {
  /**
   * The verified tarball of this checksum, from disk or by the token of a lease that needs it. Tries again while the
   * server cannot be reached. Errors: E_UNREACHABLE, E_CHECKSUM, and what the server answers, such as E_STALE.
   */
  hold(sha256: string, token: string, signal: AbortSignal): Promise<Staged>;
}

interface Kept {
  users: number;
}

export function createStage(options: StageOptions): Stage {
  const { api, directory, clock, random } = options;
  const kept = new Map<string, Kept>();
  const arriving = new Map<string, Promise<void>>();
  let lastNumber = 0;
  mkdirSync(directory, { recursive: true, mode: 0o700 });

  async function fetchOnce(sha256: string, token: string, signal: AbortSignal): Promise<void> {
    lastNumber += 1;
    const part = join(directory, `part-${lastNumber}`);
    try {
      await api.getSandbox(sha256, { token, file: part, signal });
      const found = await sha256OfFile(part);
      if (found !== sha256) throw wrongChecksum(sha256, found);
      renameSync(part, join(directory, sha256));
    } finally {
      rmSync(part, { force: true });
    }
  }

  const fetch = (sha256: string, token: string, signal: AbortSignal): Promise<void> =>
    tryAgain({ clock, random, timeoutMs: PILOT.stageTimeoutMs, signal }, () =>
      fetchOnce(sha256, token, signal),
    );

  function removeOldest(): void {
    for (const [sha256, { users }] of kept) {
      if (kept.size <= PILOT.stagedSandboxesMax) return;
      if (users > 0) continue;
      kept.delete(sha256);
      rmSync(join(directory, sha256), { force: true });
    }
  }

  return {
    hold: async (sha256, token, signal) => {
      while (!kept.has(sha256)) {
        const other = arriving.get(sha256);
        if (other !== undefined) {
          // The other one's lease may end before the files are here; then it is this one's turn.
          await other.catch(() => undefined);
          signal.throwIfAborted();
          continue;
        }
        const arrival = fetch(sha256, token, signal);
        arriving.set(sha256, arrival);
        try {
          await arrival;
          kept.set(sha256, { users: 0 });
        } finally {
          arriving.delete(sha256);
        }
      }
      const entry = kept.get(sha256) ?? { users: 0 };
      // Last used, last removed.
      kept.delete(sha256);
      kept.set(sha256, entry);
      entry.users += 1;
      removeOldest();
      return { file: join(directory, sha256), release: () => void (entry.users -= 1) };
    },
  };
}

function wrongChecksum(wanted: string, found: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_CHECKSUM",
    message: "The task's files arrived damaged.",
    why: `Their sha256 is ${found}, not ${wanted}.`,
    remedy: "If it happens again, submit the task again.",
  });
}

/** Rebuilds the core from the journal. */
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { apply } from "./apply.ts";
import { createCore, type Core } from "./core.ts";
import type { Journal } from "./journal/journal.ts";

export interface Restored {
  readonly core: Core;
  /** To append with. */
  readonly term: number;
}

/** Opens the journal and applies all of it. Errors: E_JOURNAL_BROKEN, E_JOURNAL_LOCKED. */
export async function restore(journal: Journal): Promise<Restored> {
  const { term, head } = await journal.open();
  const core = createCore();
  for await (const batch of journal.read(1)) {
    if (batch.firstSeq !== core.seq + 1)
      throw broken(core.seq, `the next record starts at ${batch.firstSeq}`);
    for (const event of batch.events) {
      try {
        apply(core, event);
        // What was dropped then is gone, or is found by the sweep.
        core.unreferenced.clear();
      } catch (error) {
        throw broken(core.seq, errorText(error), error);
      }
    }
  }
  if (core.seq < head.seq)
    throw broken(core.seq, `its head says that ${head.seq} events were written`);
  return { core, term };
}

function broken(seq: number, why: string, cause?: unknown): HyperpilotError {
  return new HyperpilotError(
    {
      code: "E_JOURNAL_BROKEN",
      message: `The journal is broken after event ${seq}.`,
      why,
      remedy: "Do not start on it: keep a copy of the data directory and restore the last backup.",
    },
    cause,
  );
}

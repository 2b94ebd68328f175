/** Bearer tokens for the files of one lease: a MAC over item and epoch, so that none has to be kept. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { HyperpilotError } from "../../protocol/errors.ts";
import { compareEpochs, itemKey, type Epoch, type Item } from "../../protocol/ids.ts";
import { EpochSchema, ItemSchema } from "../../protocol/pilot-messages.ts";
import type { Core, Task } from "../core.ts";

const Claims = z.tuple([ItemSchema, EpochSchema]);
const FORM = /^hp_lease_([A-Za-z0-9_-]{1,400})_([A-Za-z0-9_-]{43})$/;

export interface LeaseTokens {
  issue(item: Item, epoch: Epoch): string;
  /** What the token was issued for, or null when it is not ours. */
  verify(token: string): { readonly item: Item; readonly epoch: Epoch } | null;
}

/** Tokens under a key that is derived from the server's key file; they outlive a restart. */
export function createLeaseTokens(serverKey: Uint8Array): LeaseTokens {
  const key = createHmac("sha256", serverKey).update("lease tokens").digest();
  const mac = (claims: string): Buffer => createHmac("sha256", key).update(claims).digest();
  return {
    issue: (item, epoch) => {
      const claims = Buffer.from(JSON.stringify([item, epoch])).toString("base64url");
      return `hp_lease_${claims}_${mac(claims).toString("base64url")}`;
    },
    verify: (token) => {
      const [, claims, signature] = FORM.exec(token) ?? [];
      if (claims === undefined || signature === undefined) return null;
      const given = Buffer.from(signature, "base64url");
      const expected = mac(claims);
      if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;
      // Signed by us, so it is JSON; the schema still guards against a token of another version.
      const parsed = Claims.safeParse(JSON.parse(Buffer.from(claims, "base64url").toString()));
      return parsed.success ? { item: parsed.data[0], epoch: parsed.data[1] } : null;
    },
  };
}

/** The task of a lease that is still the newest of its item. Errors: E_STALE. */
export function taskOfLease(core: Core, item: Item, epoch: Epoch): Task {
  const task = core.tasks.get(item.taskId);
  const current =
    item.type === "evaluation"
      ? task?.points.get(item.pointId)?.epoch
      : task?.run?.run === item.run
        ? task.run.epoch
        : undefined;
  if (task !== undefined && current !== undefined && compareEpochs(current, epoch) === 0)
    return task;
  throw new HyperpilotError({
    code: "E_STALE",
    message: `The lease on ${itemKey(item)} is over.`,
    why: "It was granted again or revoked.",
    remedy: "Nothing to do: drop what belongs to this lease.",
  });
}

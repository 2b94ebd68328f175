/** What a pilot starts from: its boot file and a few variables of its environment. */
import { lstatSync, mkdtempSync, readFileSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { BootFile } from "../protocol/harvester-messages.ts";
import { PILOT } from "../protocol/limits.ts";
import { formatBytes } from "../protocol/resources.ts";
import type { Environment } from "./probe.ts";

const BOOT_FILE_BYTES_MAX = 1_048_576;

/** Reads the file with the boot secret. Errors: E_CONFIG; none of them quotes the file. */
export function readBootFile(path: string): BootFile {
  let text: string;
  try {
    const entry = lstatSync(path);
    if (!entry.isFile() || entry.size > BOOT_FILE_BYTES_MAX)
      throw unfit(path, "It is not a regular file of reasonable size.");
    if ((entry.mode & 0o077) !== 0)
      throw unfit(path, "Others than its owner may read or change it, and it holds a secret.");
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof HyperpilotError) throw error;
    throw unfit(path, errorText(error));
  }
  return parseBootFile(path, text);
}

function parseBootFile(path: string, text: string): BootFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which holds a secret.
    throw unfit(path, "It is not JSON.");
  }
  const parsed = BootFile.safeParse(value);
  if (!parsed.success) {
    const names = parsed.error.issues.map((issue) => issue.path.join(".") || "the whole");
    throw unfit(path, `It has missing or wrong parts: ${names.slice(0, 5).join(", ")}.`);
  }
  const { protocol, hostname } = new URL(parsed.data.server);
  if (protocol !== "https:" && !(protocol === "http:" && isLoopback(hostname)))
    throw unfit(path, "Its server is neither https:// nor on this machine.");
  return parsed.data;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

function unfit(path: string, why: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_CONFIG",
    message: `${path} cannot be used as a boot file.`,
    why,
    remedy: "Start pilots through a harvester: it writes the file with mode 0600.",
  });
}

/** A fresh private directory on the node's local disk; the caller removes it. Errors: E_CONFIG. */
export function makeScratch(environment: Environment): string {
  const parent = environment["HYPERPILOT_SCRATCH"] ?? environment["TMPDIR"] ?? tmpdir();
  try {
    refuseFull(parent);
    // Mode 0700, whatever the umask is.
    return mkdtempSync(join(parent, "hyperpilot-"));
  } catch (error) {
    if (error instanceof HyperpilotError) throw error;
    throw new HyperpilotError(
      {
        code: "E_CONFIG",
        message: `No scratch directory can be made in ${parent}.`,
        why: errorText(error),
        remedy: "Set HYPERPILOT_SCRATCH to a directory on local disk that the pilot may write to.",
      },
      error,
    );
  }
}

function refuseFull(parent: string): void {
  const { bavail, bsize } = statfsSync(parent);
  const freeBytes = bavail * bsize;
  if (freeBytes >= PILOT.scratchBytesMin) return;
  throw new HyperpilotError({
    code: "E_CONFIG",
    message: `The scratch directory ${parent} is full: ${formatBytes(freeBytes)} are free.`,
    why: `A pilot needs at least ${formatBytes(PILOT.scratchBytesMin)} there.`,
    remedy: "Clean it up, or name another disk in the queue: pilot.scratchDirectory.",
  });
}

/** Tokens of people, programs and submissions: drawn here, kept as sha256 only. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Core, TokenRecord } from "../core.ts";

/** Bytes of randomness in every secret: 192 bits, more than the 128 asked for. */
const SECRET_BYTES = 24;
const ID_BYTES = 6;

/** A secret as it is handed out once, with what the server keeps of it. */
export interface DrawnSecret {
  readonly id: string;
  /** Never logged, never journaled. */
  readonly secret: string;
  readonly sha256: string;
}

/** A new token `hp_<id>_<secret>`. */
export function drawToken(): DrawnSecret {
  return draw("hp", randomBytes(ID_BYTES).toString("hex"));
}

/** A new boot secret `hp_boot_<submission>_<secret>`; its id is that of the submission that it may start. */
export function drawBootSecret(): DrawnSecret {
  return draw("hp_boot", `sub-${randomBytes(ID_BYTES).toString("hex")}`);
}

function draw(prefix: string, id: string): DrawnSecret {
  const secret = `${prefix}_${id}_${randomBytes(SECRET_BYTES).toString("base64url")}`;
  return { id, secret, sha256: sha256Hex(secret) };
}

const TOKEN = /^hp_([0-9a-f]{12})_[A-Za-z0-9_-]{32}$/;
const BOOT_SECRET = /^hp_boot_(sub-[0-9a-f]{12})_[A-Za-z0-9_-]{32}$/;

/** The record of a valid token, or null when it is malformed, unknown, wrong or revoked: callers cannot tell which. */
export function tokenRecord(core: Core, token: string): TokenRecord | null {
  const id = TOKEN.exec(token)?.[1];
  const record = id === undefined ? undefined : core.tokens.get(id);
  if (record === undefined || !isSecretOf(token, record.sha256)) return null;
  return record.revoked ? null : record;
}

/** The submission that a boot secret names, or null when it has not the form of one. Says nothing about its validity. */
export function submissionOfBootSecret(secret: string): string | null {
  return BOOT_SECRET.exec(secret)?.[1] ?? null;
}

/** Whether `secret` has this sha256; takes the same time whatever differs. */
export function isSecretOf(secret: string, sha256: string): boolean {
  const expected = Buffer.from(sha256, "hex");
  const actual = createHash("sha256").update(secret).digest();
  return expected.length === actual.length && timingSafeEqual(expected, actual);
}

export function sha256Hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The token of an `Authorization: Bearer` header, or null. */
export function bearerOf(header: string | undefined): string | null {
  return /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(header ?? "")?.[1] ?? null;
}

/** Times as people write them on a command line. */
import { usageError } from "./errors.ts";

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  s: 1,
  min: 60,
  m: 60,
  h: 3_600,
  d: 86_400,
  w: 604_800,
};

/** Seconds of "90s", "30min", "24h", "2d". Errors: E_USAGE. */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text.trim());
  const unit = UNIT_SECONDS[match?.[2] ?? ""];
  if (match === null || unit === undefined) {
    throw usageError(
      `--${option} ${JSON.stringify(text)} is no length of time.`,
      `Write --${option} 30min, 24h or 2d, for example.`,
    );
  }
  return Number(match[1]) * unit;
}

/** ISO 8601 UTC of a moment: "2h" or "2h ago", "2026-01-31 14:05" (local time), or ISO 8601. Errors: E_USAGE. */
export function parseMoment(text: string, option: string, nowMs: number): string {
  const length = text.trim().replace(/ +ago$/, "");
  if (/^\d+(?:\.\d+)?\s*[a-z]+$/.test(length))
    return new Date(nowMs - parseDuration(length, option) * 1_000).toISOString();
  const ms = /\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text.trim()) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw usageError(
      `--${option} ${JSON.stringify(text)} is no time.`,
      `Write --${option} "2026-01-31 14:05" (local time), an ISO 8601 time, or 2h for two hours ago.`,
    );
  }
  return new Date(ms).toISOString();
}

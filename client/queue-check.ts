/** What is wrong with a queue as somebody wrote it: each fault with the field's path, what it is, and what to write. */
import { z } from "zod";
import { BATCH_KINDS } from "../protocol/batch-kinds.ts";
import type { BatchKind } from "../protocol/batch.ts";
import { didYouMean } from "../protocol/did-you-mean.ts";
import {
  kindsWith,
  queueFields,
  unwrapped,
  valueAt,
  type QueueField,
} from "../protocol/queue-fields.ts";
import { QueueConfig } from "../protocol/queue.ts";

export interface QueueFault {
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
}

export type QueueCheck =
  | { readonly ok: true; readonly config: QueueConfig }
  | { readonly ok: false; readonly faults: readonly [QueueFault, ...QueueFault[]] };

export function checkQueue(value: unknown): QueueCheck {
  const parsed = QueueConfig.safeParse(value);
  if (parsed.success) return { ok: true, config: parsed.data };
  const kind = kindOf(value);
  const faults = parsed.error.issues.flatMap((issue) => faultsOf(issue, value, kind));
  const [first = { path: "", message: "the queue is wrong", remedy: FIELDS }, ...others] = faults;
  return { ok: false, faults: [first, ...others] };
}

const FIELDS = "All fields: hyperpilot site queue fields";

/** The kind that is written, `local` when none is. */
export function kindOf(value: unknown): BatchKind {
  const written = valueAt(value, "batch.kind");
  return BATCH_KINDS.find((kind) => kind === written) ?? "local";
}

function faultsOf(issue: z.core.$ZodIssue, value: unknown, kind: BatchKind): QueueFault[] {
  const path = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => unknownField(path === "" ? key : `${path}.${key}`, kind));
  if (path === "batch.kind" || (path === "batch" && issue.code === "invalid_union"))
    return [unknownKind(value)];
  const field = fieldAt(path, kind);
  const written = valueAt(value, path);
  if (written === undefined) {
    const remedy = field === null ? FIELDS : `Write it: ${field.description}.`;
    return [{ path, message: `"${path}" is missing`, remedy }];
  }
  const shown = JSON.stringify(written).slice(0, 60);
  return [
    { path, message: `"${path}" cannot be ${shown}`, remedy: expected(field, issue, written) },
  ];
}

/** The field itself, or the one whose list or table holds the path. */
function fieldAt(path: string, kind: BatchKind): QueueField | null {
  const all = queueFields(kind);
  return all.find((one) => path === one.path || path.startsWith(`${one.path}.`)) ?? null;
}

function expected(field: QueueField | null, issue: z.core.$ZodIssue, written: unknown): string {
  if (field === null) return `${capitalised(issue.message)}.`;
  const inner = unwrapped(field.schema);
  if (inner instanceof z.ZodEnum && typeof written === "string") {
    const near = didYouMean(written, inner.options.map(String));
    if (near !== null) return `Did you mean "${near}"?`;
  }
  const bound =
    issue.code === "invalid_type" || issue.code === "invalid_value" ? "" : ` (${issue.message})`;
  return `Write ${article(field.form)}${bound}: ${field.description}.`;
}

function article(form: string): string {
  return /^(?:one of|true or|text)/.test(form) ? form : `a ${form}`;
}

function unknownKind(value: unknown): QueueFault {
  const written = valueAt(value, "batch.kind");
  const near = typeof written === "string" ? didYouMean(written, BATCH_KINDS) : null;
  const kinds = BATCH_KINDS.join(", ");
  return {
    path: "batch.kind",
    message:
      written === undefined
        ? '"batch.kind" is missing'
        : `"batch.kind" cannot be ${JSON.stringify(written)}`,
    remedy: near === null ? `One of: ${kinds}.` : `Did you mean "${near}"?`,
  };
}

/** A field that there is not: mistyped, of another kind of batch system, or of another table. */
export function unknownField(path: string, kind: BatchKind): QueueFault {
  const message = `there is no field "${path}"`;
  const others = kindsWith(path);
  if (others.length > 0) {
    const which = others.join(", ");
    return {
      path,
      message: `${message} for ${kind}`,
      remedy: `It belongs to ${which}. Those of ${kind}: hyperpilot site queue fields ${kind}`,
    };
  }
  const near = nearestField(path, kind);
  return { path, message, remedy: near === null ? FIELDS : `Did you mean "${near}"?` };
}

/** The path that was probably meant: the same name in another table, or one that is spelled alike. */
export function nearestField(path: string, kind: BatchKind): string | null {
  const paths = queueFields(kind).map((field) => field.path);
  const nameOf = (one: string): string => one.slice(one.lastIndexOf(".") + 1);
  const same = paths.filter((one) => nameOf(one).toLowerCase() === nameOf(path).toLowerCase());
  if (same.length === 1) return same[0] ?? null;
  const table = path.slice(0, path.length - nameOf(path).length);
  const beside = paths.filter((one) => one.startsWith(table)).map(nameOf);
  const near = didYouMean(nameOf(path), beside);
  if (near !== null) return `${table}${near}`;
  const anywhere = didYouMean(nameOf(path), paths.map(nameOf));
  return paths.find((one) => nameOf(one) === anywhere) ?? null;
}

function capitalised(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

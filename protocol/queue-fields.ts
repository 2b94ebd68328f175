/** Every field of a queue with what it means and may be, read off the schemas themselves. */
import { z } from "zod";
import { BATCH_KINDS } from "./batch-kinds.ts";
import { Batch, type BatchKind } from "./batch.ts";
import { QueueConfig } from "./queue.ts";

export interface QueueField {
  /** Such as `limits.maxPilots`. */
  readonly path: string;
  /** "whole number", "one of a, b", "list of text". */
  readonly form: string;
  readonly description: string;
  /** What holds when it is not written; undefined: it must be written. */
  readonly default: unknown;
  readonly schema: z.ZodType;
}

/** Fields of a queue of this kind, in the order in which they are explained. */
export function queueFields(kind: BatchKind): QueueField[] {
  return Object.entries<z.ZodType>(QueueConfig.shape).flatMap(([name, schema]) =>
    fieldsOf(name, name === "batch" ? batchSchema(kind) : schema),
  );
}

/** The kinds whose queues have this field of `batch`. */
export function kindsWith(path: string): BatchKind[] {
  return BATCH_KINDS.filter((kind) => queueFields(kind).some((field) => field.path === path));
}

/** What lies below these names in a value; undefined where there is nothing. */
export function valueAt(value: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce<unknown>(
      (inner, name) =>
        typeof inner === "object" && inner !== null && Object.hasOwn(inner, name)
          ? (inner as Readonly<Record<string, unknown>>)[name]
          : undefined,
      value,
    );
}

/** A copy of the value with another one at this path. */
export function withValueAt(
  value: Readonly<Record<string, unknown>>,
  path: string,
  replaced: unknown,
): Record<string, unknown> {
  const [first = "", ...rest] = path.split(".");
  if (rest.length === 0) return { ...value, [first]: replaced };
  const inner = value[first];
  const record = typeof inner === "object" && inner !== null ? inner : {};
  const below = withValueAt(record as Record<string, unknown>, rest.join("."), replaced);
  return { ...value, [first]: below };
}

function batchSchema(kind: BatchKind): z.ZodType {
  const found = Batch.options.find((option) => option.shape.kind.value === kind);
  if (found === undefined) throw new Error(`no such batch system: ${kind}`);
  return found;
}

function fieldsOf(path: string, schema: z.ZodType): QueueField[] {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodObject) {
    const shape: Readonly<Record<string, z.ZodType>> = inner.shape;
    return Object.entries(shape).flatMap(([name, below]) => fieldsOf(`${path}.${name}`, below));
  }
  const absent = schema.safeParse(undefined);
  const { description = "" } = schema;
  return [{ path, form: formOf(schema), description, default: absent.data, schema }];
}

/** The schema without what makes it optional, nullable or filled in. */
export function unwrapped(schema: z.ZodType): z.ZodType {
  let inner: unknown = schema;
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodOptional
  )
    inner = inner.unwrap();
  return inner instanceof z.ZodType ? inner : schema;
}

function formOf(schema: z.ZodType): string {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodEnum) return `one of ${inner.options.join(", ")}`;
  if (inner instanceof z.ZodLiteral) return JSON.stringify([...inner.values][0]);
  if (inner instanceof z.ZodNumber) return inner.format === "safeint" ? "whole number" : "number";
  if (inner instanceof z.ZodBoolean) return "true or false";
  if (inner instanceof z.ZodArray) return "list of texts";
  if (inner instanceof z.ZodRecord) return "table of texts";
  return "text";
}

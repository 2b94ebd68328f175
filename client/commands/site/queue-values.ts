/** `key=value` of a queue, from a command line. */
import { z } from "zod";
import type { BatchKind } from "../../../protocol/batch.ts";
import { errorText } from "../../../protocol/errors.ts";
import { queueFields, unwrapped, type QueueField } from "../../../protocol/queue-fields.ts";
import { usageError } from "../../errors.ts";
import { nearestField, unknownField } from "../../queue-check.ts";

/** With a table, such as `limits.`, names are those in it. Errors: E_USAGE. */
export function parseAssignment(
  text: string,
  kind: BatchKind,
  table: string,
): { readonly path: string; readonly value: unknown } {
  const at = text.indexOf("=");
  if (at <= 0) {
    throw usageError(
      `${JSON.stringify(text)} is not of the form key=value.`,
      `Write ${table === "limits." ? "maxPilots=20" : "slot.cpus=4"}, for example.`,
    );
  }
  const key = text.slice(0, at).trim();
  const field = fieldNamed(key, kind, table);
  return { path: field.path, value: valueOf(field, text.slice(at + 1).trim()) };
}

function fieldNamed(key: string, kind: BatchKind, table: string): QueueField {
  const fields = queueFields(kind).filter(({ path }) => path.startsWith(table));
  const found = fields.find(({ path }) => path === key || path === table + key);
  if (found !== undefined && found.path !== "name" && found.path !== "batch.kind") return found;
  if (found !== undefined) {
    throw usageError(
      `${key} of a queue cannot be changed.`,
      "Add another queue from a file: hyperpilot site queue add FILE",
    );
  }
  const near = nearestField(table + key, kind);
  const { message, remedy } = unknownField(key, kind);
  const meant = near === null ? remedy : `Did you mean ${near.slice(table.length)}?`;
  throw usageError(`${message.charAt(0).toUpperCase()}${message.slice(1)}.`, meant);
}

/** "" and "none" take a value away where that is possible. */
function valueOf(field: QueueField, text: string): unknown {
  const inner = unwrapped(field.schema);
  const mayBeNull = field.schema.safeParse(null).success;
  if (mayBeNull && (text === "" || text === "none")) return null;
  if (inner instanceof z.ZodArray) return text === "" ? [] : listOf(field, text);
  if (inner instanceof z.ZodRecord) return text === "" ? {} : jsonOf(field, text);
  if (inner instanceof z.ZodBoolean)
    return text === "true" ? true : text === "false" ? false : text;
  if (inner instanceof z.ZodNumber)
    return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
  return text;
}

function listOf(field: QueueField, text: string): unknown {
  return text.startsWith("[") ? jsonOf(field, text) : text.split(",").map((one) => one.trim());
}

function jsonOf(field: QueueField, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const example = field.form.startsWith("table") ? '{"NAME":"value"}' : '["one","two"]';
    throw usageError(
      `The value of ${field.path} cannot be read: ${errorText(error)}.`,
      `Write it in JSON: ${field.path}='${example}'`,
    );
  }
}

/** What is wrong with an input, as one error with place, reason and remedy. Pure. */
import { z } from "zod";
import { didYouMean } from "../../protocol/did-you-mean.ts";
import { HyperpilotError, type ErrorCode } from "../../protocol/errors.ts";

type Issue = z.core.$ZodIssue;

export interface RefusedPart {
  readonly code: ErrorCode;
  /** What was parsed, for people: "the body". */
  readonly where: string;
  readonly schema: z.ZodType;
}

/** The error of the first issue; further ones are counted. */
export function refusedInput(error: z.ZodError, part: RefusedPart): HyperpilotError {
  const issue = deepest(error.issues);
  const { code, where, schema } = part;
  if (issue === undefined) return new HyperpilotError({ code, message: `${where} is not valid.` });
  const more = error.issues.length - 1;
  const others = more > 0 ? ` (and ${more} more)` : "";
  if (issue.code === "unrecognized_keys") {
    const [key = ""] = issue.keys;
    const known = keysAt(schema, issue.path);
    const near = didYouMean(key, known);
    return new HyperpilotError({
      code,
      message: `${where} has no field '${pathText([...issue.path, key])}'${others}.`,
      remedy: near === null ? `Known here: ${known.join(", ")}.` : `Did you mean '${near}'?`,
    });
  }
  const place = issue.path.length === 0 ? where : `${where}, '${pathText(issue.path)}',`;
  return new HyperpilotError({
    code,
    message: `${place} is not valid${others}.`,
    why: issue.message,
    remedy: "Correct it and try again; the fields are described in /openapi.json.",
  });
}

/** An unknown field before all else, because a mistyped one is also missing; of a union, the option that got furthest. */
function deepest(issues: readonly Issue[]): Issue | undefined {
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  if (issue?.code !== "invalid_union") return issue;
  const candidates = issue.errors
    .map((option) => ({ option, first: deepest(option) }))
    .filter((candidate) => candidate.first !== undefined)
    .sort((a, b) => a.option.length - b.option.length || pathLength(b.first) - pathLength(a.first));
  const inner = candidates[0]?.first;
  return inner === undefined ? issue : { ...inner, path: [...issue.path, ...inner.path] };
}

function pathLength(issue: Issue | undefined): number {
  return issue?.path.length ?? 0;
}

function pathText(path: readonly PropertyKey[]): string {
  return path.map(String).join(".");
}

/** Names of the fields that an object at this path may have. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const inner = unwrap(schema);
  const [first, ...rest] = path;
  if (inner instanceof z.ZodUnion)
    return inner.options.flatMap((option) =>
      option instanceof z.ZodType ? keysAt(option, path) : [],
    );
  if (inner instanceof z.ZodArray && first !== undefined && inner.element instanceof z.ZodType)
    return keysAt(inner.element, rest);
  if (!(inner instanceof z.ZodObject)) return [];
  const shape: Readonly<Record<string, unknown>> = inner.shape;
  if (first === undefined) return Object.keys(shape);
  const next = shape[String(first)];
  return next instanceof z.ZodType ? keysAt(next, rest) : [];
}

function unwrap(schema: z.ZodType): z.ZodType {
  let inner: unknown = schema;
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodReadonly
  )
    inner = inner.unwrap();
  return inner instanceof z.ZodType ? inner : schema;
}

/**
 * Events as they were written, brought to their present form: the border between journals of all ages and the code, which knows
 * the present form only.
 *
 * A field that is new and has a default needs no new version: a part that a schema describes gets its defaults by being parsed,
 * any other by a line in `complete`. A change of meaning raises the event's version and adds a step from the version before.
 * The other fields are not checked again: the hash chain says that they are what this program, or an older one, wrote.
 */
import { errorText } from "../../protocol/errors.ts";
import { QueueConfig } from "../../protocol/queue.ts";
import { Limits, TaskSpecification } from "../../protocol/task.ts";
import type { EventType, HyperpilotEvent } from "../events.ts";
import { brokenJournal, tooNew } from "./journal-errors.ts";

type Fields = Readonly<Record<string, unknown>>;

interface EventForm {
  /** From version 1 to 2, from 2 to 3, ...: the present version is one more than there are steps. */
  readonly steps: readonly ((event: Fields) => Fields)[];
  /** Fills in what later programs added to the present version. */
  readonly complete?: (event: Fields) => Fields;
}

const UNCHANGED: EventForm = { steps: [] };

const FORMS: Readonly<Record<EventType, EventForm>> = {
  taskDefined: {
    steps: [],
    complete: (event) => ({ ...event, spec: TaskSpecification.parse(event["spec"]) }),
  },
  taskStateChanged: UNCHANGED,
  taskLimitsChanged: {
    steps: [],
    complete: (event) => ({ ...event, limits: Limits.parse(event["limits"]) }),
  },
  runOpened: UNCHANGED,
  runAnswered: UNCHANGED,
  runFailed: UNCHANGED,
  pointGenerated: UNCHANGED,
  jobStarted: UNCHANGED,
  leaseGranted: UNCHANGED,
  leaseEnded: UNCHANGED,
  attemptEnded: UNCHANGED,
  checkpointStored: UNCHANGED,
  checkpointDropped: UNCHANGED,
  pointFinal: UNCHANGED,
  jobEnded: UNCHANGED,
  nodeDrained: UNCHANGED,
  queueChanged: {
    steps: [],
    complete: (event) =>
      event["config"] === null ? event : { ...event, config: QueueConfig.parse(event["config"]) },
  },
  tokenChanged: UNCHANGED,
  serverRestored: UNCHANGED,
};

/** Version with which events of this type are written now. */
export function presentVersion(type: EventType): number {
  return FORMS[type].steps.length + 1;
}

/** One event in its present form. Errors: E_JOURNAL_VERSION (written by a newer program), E_JOURNAL_BROKEN. */
export function presentEvent(written: unknown, seq: number): HyperpilotEvent {
  const fields = (typeof written === "object" ? (written ?? {}) : {}) as Fields;
  const { type, v } = fields;
  if (typeof type !== "string" || typeof v !== "number" || v < 1)
    throw brokenJournal(seq, "it is no event");
  if (!Object.hasOwn(FORMS, type))
    throw tooNew(seq, `This program knows no event ${JSON.stringify(type)}.`);
  const form = FORMS[type as EventType];
  const present = form.steps.length + 1;
  if (v > present)
    throw tooNew(seq, `Its ${type} has version ${v}, this program reads up to ${present}.`);
  let event = fields;
  for (const step of form.steps.slice(v - 1)) event = step(event);
  if (form.complete !== undefined) event = completed(form.complete, event, seq);
  return (v === present ? event : { ...event, v: present }) as unknown as HyperpilotEvent;
}

/** What a schema does not know was added later: older parts lack fields, they never have others. */
function completed(complete: (event: Fields) => Fields, event: Fields, seq: number): Fields {
  try {
    return complete(event);
  } catch (error) {
    const text = errorText(error).replace(/\s+/g, " ").slice(0, 300);
    throw tooNew(
      seq,
      `Its ${String(event["type"])} has parts that this program does not know: ${text}`,
      error,
    );
  }
}

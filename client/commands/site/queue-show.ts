/** `site queue show` and `site queue fields`. */
import { BATCH_KINDS } from "../../../protocol/batch-kinds.ts";
import { stringify } from "smol-toml";
import { EXIT } from "../../../protocol/errors.ts";
import { didYouMean } from "../../../protocol/did-you-mean.ts";
import { queueFields, valueAt, type QueueField } from "../../../protocol/queue-fields.ts";
import type { Run } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { formatAgo, neutraliseLines } from "../../format.ts";
import { flagOption } from "../../option-values.ts";
import { writeTable, type Column } from "../../table.ts";
import { labelled } from "../../wrap.ts";
import { queueNamed, writtenPart, type ShownQueue } from "./named-queue.ts";
import { valueText } from "./queue.ts";

/** `site queue show`: what somebody wrote, as a file; with --effective every value with its origin. */
export const runShow: Run = async ({ args, options, context }) => {
  const { output, clock } = context;
  const shown = await queueNamed(await context.api(), args[0] ?? "");
  if (output.json) {
    output.item("Queue", shown);
    return EXIT.success;
  }
  if (!flagOption(options, "effective")) {
    output.data(neutraliseLines(stringify(withoutNulls(writtenPart(shown)))).trimEnd());
    output.talk(
      `All values with their origins: hyperpilot site queue show ${shown.config.name} --effective`,
    );
    return EXIT.success;
  }
  const nowMs = clock.wallMs();
  const columns: readonly Column<QueueField>[] = [
    { title: "FIELD", text: ({ path }) => path },
    {
      title: "VALUE",
      shrinks: true,
      text: ({ path }) => valueText(valueAt(shown.config, path)),
      plain: ({ path }) => JSON.stringify(valueAt(shown.config, path)),
    },
    {
      title: "ORIGIN",
      shrinks: true,
      tone: ({ path }) => (Object.hasOwn(shown.origins, path) ? null : "faint"),
      text: ({ path }) => originText(shown, path, nowMs),
      plain: ({ path }) => shown.origins[path]?.source ?? "default",
    },
  ];
  writeTable(output, columns, queueFields(shown.config.batch.kind), "");
  return EXIT.success;
};

function originText({ origins, config }: ShownQueue, path: string, nowMs: number): string {
  const origin = origins[path];
  if (path === "name" || path === "batch.kind" || origin !== undefined) {
    if (origin === undefined) return "written";
    return `${origin.source} (${origin.by}, ${formatAgo(origin.at, nowMs)})`;
  }
  const field = queueFields(config.batch.kind).find((one) => one.path === path);
  const isDefault =
    JSON.stringify(valueAt(config, path)) === JSON.stringify(field?.default ?? null);
  return isDefault ? "default" : "not known";
}

/** TOML has no null: a field that is not there has none. */
function withoutNulls(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]): [string, unknown][] => {
      if (inner === null) return [];
      const isTable = typeof inner === "object" && !Array.isArray(inner);
      return [[key, isTable ? withoutNulls(inner as Record<string, unknown>) : inner]];
    }),
  );
}

/** `site queue fields`. */
export const runFields: Run = ({ args, context }) => {
  const { output } = context;
  const word = args[0] ?? "local";
  const kind = BATCH_KINDS.find((one) => one === word);
  if (kind === undefined) {
    const near = didYouMean(word, BATCH_KINDS);
    throw usageError(
      `${JSON.stringify(word)} is no kind of batch system.`,
      near === null ? `One of: ${BATCH_KINDS.join(", ")}.` : `Did you mean ${near}?`,
    );
  }
  const fields = queueFields(kind);
  if (output.json) {
    const items = fields.map(({ path, form, description, default: absent }) => ({
      path,
      form,
      description,
      default: absent ?? null,
      required: absent === undefined,
    }));
    output.items("QueueFieldList", items);
  } else if (output.stdout.isTty) {
    const width = Math.min(output.stdout.columns, 100);
    for (const field of fields) {
      output.data(
        output.paint("strong", field.path) + output.paint("faint", `  ${factsOf(field)}`),
      );
      output.data(labelled("    ", `${field.description}.`, width).join("\n"));
    }
  } else {
    for (const field of fields)
      output.data([field.path, field.form, defaultText(field), field.description].join("\t"));
  }
  if (args[0] === undefined)
    output.talk(
      `Of other batch systems: hyperpilot site queue fields ${BATCH_KINDS.slice(1).join("|")}`,
    );
  return Promise.resolve(EXIT.success);
};

function defaultText({ default: absent }: QueueField): string {
  if (absent === undefined) return "required";
  return absent === null ? "none" : JSON.stringify(absent);
}

function factsOf(field: QueueField): string {
  const absent = defaultText(field);
  return absent === "required" ? `${field.form}, required` : `${field.form}, default ${absent}`;
}

/** What one evaluation needs: --cpus, --memory, --gpus, --resources, --internet, and the GPU part of --architecture. */
import { didYouMean } from "../../protocol/did-you-mean.ts";
import { TASK } from "../../protocol/limits.ts";
import type { GpuNeed, Needs, SlotNeeds } from "../../protocol/resources.ts";
import type { OptionValues } from "../command.ts";
import { usageError } from "../errors.ts";
import { flagOption, numberOption, textOption } from "../option-values.ts";
import { parseGpus, parseMemory } from "./amounts.ts";
import { given } from "./option-parts.ts";

type Form = Partial<SlotNeeds>;

/** Needs that the options name; `gpus` are those that something else asks for, where no option names any. Errors: E_USAGE. */
export function needOptions(options: OptionValues, gpus: GpuNeed | null = null): Partial<Needs> {
  const memory = textOption(options, "memory");
  const ownGpus = textOption(options, "gpus");
  const common: Form = given({
    cpus: numberOption(options, "cpus"),
    memoryBytes: memory === undefined ? undefined : parseMemory(memory, "--memory"),
    gpus: ownGpus === undefined ? (gpus ?? undefined) : parseGpus(ownGpus),
  });
  const text = textOption(options, "resources");
  const [first = common, ...alternatives] =
    text === undefined ? [] : parseResources(text).map((form) => ({ ...common, ...form }));
  return {
    ...first,
    ...(flagOption(options, "internet") ? { internet: true } : {}),
    // Each form is filled in by the schema.
    ...(text === undefined ? {} : { alternatives: alternatives as SlotNeeds[] }),
  };
}

const KEYS = ["cpus", "memory", "gpus"] as const;
const EXAMPLE = "Write forms such as gpus=1,cpus=4|cpus=16,memory=32GB.";

/** The forms of `gpus=1,cpus=4|cpus=16`, best first. Errors: E_USAGE. */
export function parseResources(text: string): readonly Form[] {
  const forms = text.split("|").map((form) => parseForm(form, text));
  if (forms.length <= TASK.needsAlternativesMax + 1) return forms;
  throw usageError(
    `--resources has ${forms.length} forms, at most ${TASK.needsAlternativesMax + 1} are taken.`,
    "Leave some out.",
  );
}

function parseForm(form: string, whole: string): Form {
  const values: { cpus?: number; memoryBytes?: number; gpus?: GpuNeed | null } = {};
  const seen = new Set<string>();
  for (const part of form.split(",")) {
    const [key = "", value, ...rest] = part.split("=").map((one) => one.trim());
    if (value === undefined || value === "" || rest.length > 0)
      throw usageError(
        `--resources ${JSON.stringify(whole)}: ${JSON.stringify(part.trim())} is not understood.`,
        EXAMPLE,
      );
    if (seen.has(key)) throw usageError(`--resources names ${key} twice in one form.`, EXAMPLE);
    seen.add(key);
    switch (KEYS.find((one) => one === key)) {
      case "cpus":
        values.cpus = numberOption({ "resources cpus": value }, "resources cpus") ?? 0;
        break;
      case "memory":
        values.memoryBytes = parseMemory(value, "--resources memory");
        break;
      case "gpus":
        values.gpus = parseGpus(value, "--resources gpus");
        break;
      case undefined: {
        const near = didYouMean(key, KEYS);
        const hint = near === null ? EXAMPLE : `Did you mean ${near}?`;
        throw usageError(`--resources knows no ${JSON.stringify(key)}.`, hint);
      }
    }
  }
  return values;
}

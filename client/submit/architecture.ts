/** panda-client's --architecture: what of it says which slots a task needs. */
import { parseJsonText, toValue } from "../../protocol/json-text.ts";
import type { GpuNeed } from "../../protocol/resources.ts";
import { usageError } from "../errors.ts";

export interface ArchitectureNeeds {
  readonly gpus: GpuNeed | null;
  /** Demands on GPUs that no slot is compared with, as written. */
  readonly notCompared: readonly string[];
}

/** One demand: `vram>=40960`, `model=.*A100.*`. */
interface Demand {
  readonly key: string;
  readonly operator: string;
  readonly value: string;
}

const REMEDY = "Write --gpus 1:A100:40GB, for example, and leave --architecture out.";
const MIB = 1_048_576;

/**
 * Reads `<platform><#cpu><&gpu>`, with gpu as `vendor`, `vendor-model` or `vendor:vram>=40960:model=.*A100.*`, and the JSON
 * form (grammar: panda-docs, advanced/brokerage). Of CPUs nothing is compared. Errors: E_USAGE, E_JSON.
 */
export function architectureNeeds(text: string): ArchitectureNeeds {
  if (text.trimStart().startsWith("{")) return needsOf("nvidia", jsonDemands(text));
  const at = text.indexOf("&");
  const gpu = at < 0 ? "" : text.slice(at + 1).trim();
  if (gpu === "") return { gpus: null, notCompared: [] };
  const [head = "", ...rest] = gpu.split(":");
  const dash = head.indexOf("-");
  const vendor = dash < 0 ? head : head.slice(0, dash);
  const model = dash < 0 ? [] : [{ key: "model", operator: "=", value: head.slice(dash + 1) }];
  return needsOf(vendor, [...model, ...rest.map(demandOf)]);
}

function demandOf(text: string): Demand {
  const match = /^\s*(\w+)\s*(>=|<=|==|=|>|<)\s*(.*?)\s*$/.exec(text);
  if (match === null)
    throw usageError(
      `--architecture has a demand that is not understood: ${JSON.stringify(text)}.`,
      REMEDY,
    );
  return { key: match[1] ?? "", operator: match[2] ?? "", value: match[3] ?? "" };
}

function jsonDemands(text: string): Demand[] {
  const value = toValue(parseJsonText(text, { name: "--architecture" })) as Record<string, unknown>;
  const nested = value["gpu_spec"];
  const isNested = typeof nested === "object" && nested !== null && !Array.isArray(nested);
  const spec = isNested ? (nested as Record<string, unknown>) : value;
  if (spec["excl"] === true)
    throw usageError(
      "--architecture excludes GPUs (excl), and slots are chosen by what they have.",
      "Name the GPU that you want: --gpus 1:A100",
    );
  return Object.entries(spec)
    .filter(([key, one]) => key !== "excl" && (typeof one === "string" || typeof one === "number"))
    .map(([key, one]) => {
      const [, operator = "", rest = ""] = /^\s*(>=|<=|==|=|>|<)?(.*)$/s.exec(String(one)) ?? [];
      return { key, operator: operator === "" ? "=" : operator, value: rest.trim() };
    });
}

function needsOf(named: string, demands: readonly Demand[]): ArchitectureNeeds {
  const vendor = (demands.find(({ key }) => key === "vendor")?.value ?? named).toLowerCase();
  if (!["nvidia", "*", ""].includes(vendor))
    throw usageError(
      `--architecture asks for GPUs of ${JSON.stringify(vendor)}; pilots find those of nvidia only.`,
      "Leave the GPU part out, or ask for a GPU of nvidia.",
    );
  let model: string | null = null;
  let memoryBytes: number | null = null;
  const notCompared: string[] = [];
  for (const { key, operator, value } of demands) {
    if (key === "vendor") continue;
    if (key === "model") model = modelOf(value);
    else if (key === "vram" && [">=", ">", "=", "=="].includes(operator))
      memoryBytes = vramBytes(value);
    else notCompared.push(`${key}${operator}${value}`);
  }
  return { gpus: { count: 1, model, memoryBytes }, notCompared };
}

/** The plain part of `.*A100.*`; null for any model. */
function modelOf(pattern: string): string | null {
  const plain = pattern.replace(/^\^?(?:\.?\*)?/, "").replace(/(?:\.?\*)?\$?$/, "");
  if (plain === "") return null;
  if (/^[\w -]+$/.test(plain)) return plain;
  throw usageError(
    `--architecture asks for a GPU model by a pattern: ${JSON.stringify(pattern)}. Models are compared by a part of their name.`,
    REMEDY,
  );
}

/** In MB as nvidia-smi counts them: 1 048 576 bytes. */
function vramBytes(text: string): number {
  const megabytes = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isFinite(megabytes) && megabytes > 0) return Math.round(megabytes * MIB);
  throw usageError(`--architecture: vram ${JSON.stringify(text)} is not a number of MB.`, REMEDY);
}

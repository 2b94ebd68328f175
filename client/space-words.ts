/** A search space in words, so that a misreading is seen before hours are spent on it. */
import type { Parameter } from "../protocol/search-space.ts";
import { formatLoss, neutralise } from "./format.ts";

/** "lr 1e-05 to 0.1 (log), batch 10 to 30 (whole), act relu or tanh, seed always 3". */
export function spaceWords(parameters: readonly Parameter[]): string {
  return parameters.map((one) => `${neutralise(one.name)} ${valuesInWords(one)}`).join(", ");
}

function valuesInWords(parameter: Parameter): string {
  if (parameter.method === "fixed") return `always ${word(parameter.value)}`;
  if (parameter.method === "categorical") {
    const words = parameter.categories.map(word);
    const last = words.pop() ?? "";
    return words.length === 0 ? `always ${last}` : `${words.join(", ")} or ${last}`;
  }
  const { method, step } = parameter;
  const isLog = method.includes("log");
  const traits = [
    ...(isLog ? ["log"] : []),
    ...(step === null ? [] : [step === 1 ? "whole" : `steps of ${formatLoss(step)}`]),
  ];
  const inBrackets = (words: readonly string[]): string =>
    words.length === 0 ? "" : ` (${words.join(", ")})`;
  if ("mu" in parameter)
    return `around ${formatLoss(parameter.mu)}, spread ${formatLoss(parameter.sigma)}${inBrackets(traits)}`;
  return `${formatLoss(parameter.low)} to ${formatLoss(parameter.high)}${inBrackets(traits)}`;
}

/** A category or a fixed value: texts without their quotes. */
function word(json: string): string {
  try {
    const value: unknown = JSON.parse(json);
    return neutralise(typeof value === "string" ? value : json);
  } catch {
    return neutralise(json);
  }
}

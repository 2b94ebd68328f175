/** Reads options of a command line; what is wrong is said with the option's name. */
import type { OptionValues } from "./command.ts";
import { usageError } from "./errors.ts";

export function textOption(options: OptionValues, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

export function textsOption(options: OptionValues, name: string): readonly string[] {
  const value = options[name];
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

export function flagOption(options: OptionValues, name: string): boolean {
  return options[name] === true;
}

/** A whole number of at least `min`. */
export function countOption(options: OptionValues, name: string, min = 1): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < min) {
    throw usageError(
      `--${name} ${JSON.stringify(text)} is not a whole number of at least ${min}.`,
      `Write --${name} ${Math.max(min, 4)}, for example.`,
    );
  }
  return value;
}

/** A number greater than 0. */
export function numberOption(options: OptionValues, name: string): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(value) || value <= 0) {
    throw usageError(
      `--${name} ${JSON.stringify(text)} is not a number greater than 0.`,
      `Write --${name} 1.5, for example.`,
    );
  }
  return value;
}

/** A number greater than 0, or null for the word "none". */
export function numberOrNone(options: OptionValues, name: string): number | null | undefined {
  return textOption(options, name) === "none" ? null : numberOption(options, name);
}

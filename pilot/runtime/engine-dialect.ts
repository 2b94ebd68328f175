/** What tells one container engine from another with the same command line. */
import type { Gpu } from "../../protocol/resources.ts";

export interface EngineOptions {
  /** Directory of the pilot for self-tests. */
  readonly scratchDirectory: string;
  /** Path of the program; found in PATH when not given. */
  readonly program?: string;
}

/** Where the engines differ. */
export interface EngineDialect {
  readonly name: "podman" | "docker";
  readonly remedy: string;
  /** Options before the verb, in the order in which they are tried: the first that pass the self-test stay. */
  readonly globalOptions: readonly [readonly string[], ...(readonly string[])[]];
  /** Options of `run` beyond those that all engines take. */
  readonly runOptions: readonly string[];
  readonly removeOptions: readonly string[];
  readonly pullOptions: (isPlainHttp: boolean) => readonly string[];
  readonly gpuOptions: (gpus: readonly Gpu[]) => readonly string[];
  /** Name of the file with registry credentials in a private directory, and the option or variable that names it. */
  readonly authentication: (directory: string) => {
    readonly file: string;
    readonly globalOptions: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
  };
}

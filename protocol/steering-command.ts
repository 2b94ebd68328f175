/** What a steering container runs: image, mounts and command of both forms, with the placeholders filled in. */
import { parseDockerArguments, WORK_DIRECTORY } from "./docker-arguments.ts";
import { imageName } from "./image-names.ts";
import type { Steering } from "./task.ts";

/** Names of %IN and %OUT in the working directory; iDDS's own. */
export const STEERING_INPUT = "idds_input.json";
export const STEERING_OUTPUT = "output.json";

export interface SteeringCommand {
  readonly image: string;
  /** Further paths at which the working directory is found. */
  readonly mounts: readonly string[];
  /** For `/bin/sh -c` inside the container. */
  readonly exec: string;
  /** The words of `exec` are arguments of the image's ENTRYPOINT where it has one; without any, its CMD is run. */
  readonly usesEntrypoint: boolean;
  readonly environment: Readonly<Record<string, string>>;
}

export interface SteeringNumbers {
  readonly numPoints: number;
  readonly maxPoints: number;
}

/** Errors: E_TASK_SPECIFICATION (docker-arguments form). */
export function steeringCommand(
  steering: Exclude<Steering, { method: string }>,
  numbers: SteeringNumbers,
): SteeringCommand {
  if (steering.container !== null) {
    const exec = fillIn(steering.exec, numbers);
    return {
      image: imageName(steering.container),
      mounts: [],
      exec,
      usesEntrypoint: false,
      environment: {},
    };
  }
  const run = parseDockerArguments(steering.exec);
  const inside = run.mounts[0] ?? "$PWD";
  const argv = run.entrypoint === null ? run.argv : [run.entrypoint, ...run.argv];
  const words = argv
    .map((word) => quote(fillIn(word.replaceAll(WORK_DIRECTORY, inside), numbers)))
    .join(" ");
  return {
    image: imageName(run.image),
    mounts: run.mounts,
    exec: words,
    usesEntrypoint: run.entrypoint === null,
    environment: run.environment,
  };
}

/** Plain replacement in iDDS's order, without word boundaries. */
function fillIn(text: string, numbers: SteeringNumbers): string {
  return text
    .replaceAll("%MAX_POINTS", String(numbers.maxPoints))
    .replaceAll("%NUM_POINTS", String(numbers.numPoints))
    .replaceAll("%IN", STEERING_INPUT)
    .replaceAll("%OUT", STEERING_OUTPUT);
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

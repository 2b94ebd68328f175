/** Paths of this machine that a task's commands name and evaluations would not see. */
import { existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { TaskSpecification } from "../../protocol/task.ts";
import { isBuiltin } from "../../protocol/task.ts";
import { askPython } from "./python.ts";
import { isHiddenFromPayloads } from "./readable-paths.ts";

/** What must be shown to evaluations so that the task's program and images are found. */
export async function hiddenPathsOf(spec: TaskSpecification): Promise<readonly string[]> {
  const { evaluation, steering } = spec;
  const images = [evaluation.container, ...(isBuiltin(steering) ? [] : [steering.container ?? ""])];
  const paths = images.filter((image) => image.startsWith("/") && isHiddenFromPayloads(image));
  if (evaluation.container !== "host:") return paths;
  const program = /^(?:'(\/[^']+)'|"(\/[^"]+)"|(\/\S+))/.exec(evaluation.exec.trim());
  const path = program?.[1] ?? program?.[2] ?? program?.[3];
  if (path === undefined || !existsSync(path)) return paths;
  if (/^python(\d(\.\d+)?)?$/.test(basename(path)))
    return [...paths, ...(await askPython(path, null)).readOnlyPaths];
  return isHiddenFromPayloads(path) ? [...paths, dirname(path)] : paths;
}

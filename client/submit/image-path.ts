/** Images that are files of the person's machine. */
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { didYouMean } from "../../protocol/did-you-mean.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { neutralise } from "../format.ts";

/**
 * The image as evaluations take it: `./train.sif` becomes an absolute path, as does `train.sif` where there is such a file. All
 * else stays: the name may mean something on the nodes. Errors: E_FILE.
 */
export function imagePath(image: string, workingDirectory: string): string {
  const isRelative = /^\.\.?\//.test(image);
  if (!isRelative && !/^[^/:][^:]*\.(sif|simg)$/.test(image)) return image;
  const path = resolve(workingDirectory, image);
  if (existsSync(path)) return path;
  if (!isRelative) return image;
  const near = didYouMean(basename(path), siblings(path));
  throw new HyperpilotError({
    code: "E_FILE",
    message: `There is no image ${image}.`,
    why: `${path} is not there.`,
    remedy:
      near === null
        ? "Name a SIF file, a directory, or an image of a registry: docker://..."
        : `Did you mean ${neutralise(near)}?`,
  });
}

function siblings(path: string): readonly string[] {
  try {
    return readdirSync(dirname(path));
  } catch {
    // There is no such directory either.
    return [];
  }
}

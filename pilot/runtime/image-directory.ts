import { realpathSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import type { PayloadRequest } from "./runtime.ts";

/** Software areas that every user of a node reads anyway; images elsewhere must lie below the queue's readOnlyPaths. */
const PUBLIC_PATHS = ["/usr", "/opt", "/cvmfs"] as const;

/**
 * The real path of a sandbox directory or SIF file. A task's user names the image, so "/" or a home directory as "image"
 * would show the node's files to the payload: only what the operator lets payloads read is taken, unless the operator chose
 * the image. Errors: E_IMAGE.
 */
export function permittedImage(request: PayloadRequest): string {
  const { image } = request;
  const path = realPath(image);
  if (request.imageIsTrusted === true) return path;
  const allowed = [...PUBLIC_PATHS, ...request.readOnlyPaths];
  if (!allowed.some((directory) => isWithin(path, directory)))
    throw new HyperpilotError({
      code: "E_IMAGE",
      message: `image ${image} may not be used on this queue`,
      why: "it lies outside the paths that the queue lets payloads read",
      remedy: "ask the queue's operator to add it to readOnlyPaths",
    });
  return path;
}

/** The real path of a sandbox directory that bubblewrap can run as it is. Errors: E_IMAGE. */
export function imageDirectory(request: PayloadRequest): string {
  const { image } = request;
  const root = permittedImage(request);
  if (!statSync(root).isDirectory())
    throw new HyperpilotError({
      code: "E_IMAGE",
      message: `image ${image} is not a directory`,
      why: "bubblewrap runs sandbox directories and host:, not SIF files",
      remedy: "use a sandbox directory, or a queue with apptainer",
    });
  for (const needed of ["srv/workDir", "tmp", "var/tmp", "proc", "dev"]) {
    if (statSync(join(root, needed), { throwIfNoEntry: false })?.isDirectory() !== true)
      throw new HyperpilotError({
        code: "E_IMAGE",
        message: `image directory ${image} has no directory /${needed}`,
        why: "the image is read-only, so the mount point cannot be made",
        remedy: `mkdir -p ${join(image, needed)}`,
      });
  }
  if (request.gpus.length > 0)
    throw new HyperpilotError({
      code: "E_IMAGE",
      message: "bubblewrap cannot bring the GPU driver into an image directory",
      remedy: "use host: as image, or a queue with apptainer",
    });
  return root;
}

function realPath(image: string): string {
  try {
    return realpathSync(image);
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_IMAGE",
        message: `image ${image} cannot be read on this node`,
        why: errorText(error),
        remedy: "name a file or directory that exists on the queue's nodes",
      },
      error,
    );
  }
}

function isWithin(path: string, directory: string): boolean {
  let top = directory;
  try {
    top = realpathSync(directory);
  } catch {
    // A path that the node lacks contains nothing.
    return false;
  }
  return path === top || path.startsWith(top.endsWith(sep) ? top : top + sep);
}

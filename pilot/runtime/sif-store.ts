/** Images of registries as SIF files of the node's cache, made by Apptainer or Singularity. */
import { rmSync, statSync } from "node:fs";
import { runProgram } from "../../common/child.ts";
import { PILOT } from "../../protocol/limits.ts";
import { pullFailure } from "../images/image-errors.ts";
import { wordsOf } from "./program-words.ts";
import type { Environment, ImageStore, PullRequest } from "./runtime.ts";

export interface SifStoreOptions {
  readonly name: "apptainer" | "singularity";
  readonly program: string;
  /** What the program finds its helpers with. */
  readonly path: string;
}

export function createSifStore(options: SifStoreOptions): ImageStore {
  return {
    kind: "sif",
    pull: async (request) => {
      const { entry, reference, isPlainHttp, signal } = request;
      const result = await runProgram(
        [
          ...[options.program, "pull", "--disable-cache"],
          ...(isPlainHttp ? ["--no-https"] : []),
          ...[entry, `docker://${reference}`],
        ] as [string, ...string[]],
        {
          timeoutMs: PILOT.imagePullTimeoutMs,
          environment: { PATH: options.path, ...pullEnvironment(request) },
          outputBytesMax: PILOT.engineOutputBytesMax,
          signal,
        },
      );
      signal.throwIfAborted();
      if (result.exitCode !== 0) throw pullFailure(options.name, reference, wordsOf(result));
    },
    open: (entry) => {
      const sizeBytes = statSync(entry, { throwIfNoEntry: false })?.size;
      return Promise.resolve(sizeBytes === undefined ? null : { image: entry, sizeBytes });
    },
    remove: (entry) => {
      rmSync(entry, { force: true });
      return Promise.resolve(true);
    },
  };
}

/** Both prefixes, as either program may be a link to the other. Credentials are in no argument and no file. */
function pullEnvironment({ scratch, credential, environment }: PullRequest): Environment {
  const own: Record<string, string> = { ...environment, HOME: scratch, TMPDIR: scratch };
  for (const prefix of ["APPTAINER", "SINGULARITY"]) {
    own[`${prefix}_TMPDIR`] = scratch;
    own[`${prefix}_CACHEDIR`] = scratch;
    if (credential === null) continue;
    own[`${prefix}_DOCKER_USERNAME`] = credential.username;
    own[`${prefix}_DOCKER_PASSWORD`] = credential.password;
  }
  return own;
}

/** Builders of steering images: one command line each, and what tasks of a queue then use. */
import { chmodSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { HyperpilotError, systemErrorCode } from "../../protocol/errors.ts";
import { VERSION } from "../../protocol/version.ts";
import type { Environment } from "../style.ts";
import type { Base } from "./base.ts";
import { hasProgram, runBuildProgram } from "./build-program.ts";

export const BUILDERS = ["apptainer", "podman", "docker"] as const;
export type BuilderName = (typeof BUILDERS)[number];

export interface ImageRequest {
  /** File or repository name, such as `optuna`. */
  readonly name: string;
  /** Libraries of the image, in one line. */
  readonly libraries: string;
  /** Equal for images that would be built alike. */
  readonly recipe: string;
  /** Absolute; where SIF files are kept. */
  readonly directory: string;
  readonly environment: Environment;
}

export interface BuildRequest extends ImageRequest {
  readonly base: Base;
  /** Copy of the sources, with the settings of this place. */
  readonly context: string;
}

export interface Builder {
  readonly name: BuilderName;
  /** What a queue's `images` is told. */
  target(request: ImageRequest): string;
  /** Whether the image is there, built from the same recipe. */
  isBuilt(request: ImageRequest): Promise<boolean>;
  /** Errors: E_RUNTIME with the builder's last words, E_CONFIG. */
  build(request: BuildRequest): Promise<void>;
}

/** The builder that is named, or the first that this machine has. Errors: E_CONFIG. */
export function findBuilder(name: string | undefined, environment: Environment): Builder {
  const found = BUILDERS.find((one) =>
    name === undefined ? hasProgram(one, environment) : one === name,
  );
  if (found === undefined || !hasProgram(found, environment)) {
    throw new HyperpilotError({
      code: "E_CONFIG",
      message: `${name ?? "No builder of images"} ${name === undefined ? "was found" : "is not in PATH"}.`,
      remedy: `Install one of ${BUILDERS.join(", ")} (Debian: apt-get install podman).`,
    });
  }
  return found === "apptainer" ? apptainerBuilder() : layerBuilder(found);
}

const RecipeFile = z.object({ recipe: z.string() });

function apptainerBuilder(): Builder {
  const target = ({ directory, name }: ImageRequest): string => join(directory, `${name}.sif`);
  const recipeFile = (request: ImageRequest): string => `${target(request)}.json`;
  return {
    name: "apptainer",
    target,
    isBuilt(request) {
      try {
        statSync(target(request));
        const parsed = RecipeFile.safeParse(JSON.parse(readFileSync(recipeFile(request), "utf8")));
        return Promise.resolve(parsed.success && parsed.data.recipe === request.recipe);
      } catch (error) {
        if (systemErrorCode(error) === "ENOENT" || error instanceof SyntaxError)
          return Promise.resolve(false);
        throw error;
      }
    },
    async build(request) {
      const { base, context, libraries, environment } = request;
      const partial = `${target(request)}.partial`;
      await runBuildProgram(
        [
          ...userNamespace(),
          "apptainer",
          "build",
          "--force",
          "--build-arg",
          `bootstrap=${base.type === "registry" ? "docker" : "localimage"}`,
          "--build-arg",
          `base=${base.type === "registry" ? base.image : base.path}`,
          "--build-arg",
          `libraries=${libraries}`,
          partial,
          "image.def",
        ],
        {
          // The default, /tmp, may be small.
          environment: { ...environment, APPTAINER_TMPDIR: join(context, "..") },
          cwd: context,
          remedy:
            "Remove the cause that its last lines name. Proxy, package index and certificates are taken from the environment (HTTPS_PROXY, PIP_INDEX_URL, PIP_CERT). Without a registry: --base debian, or --base FILE.",
        },
      );
      chmodSync(partial, 0o755);
      renameSync(partial, target(request));
      writeFileSync(recipeFile(request), `${JSON.stringify({ recipe: request.recipe })}\n`);
    },
  };
}

/** Apptainer run by root needs every capability; where root lacks one, a user namespace has them all. */
function userNamespace(): [] | ["unshare", "--user", "--map-root-user"] {
  if (process.getuid?.() !== 0) return [];
  const permitted = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  const last = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
  const isComplete = BigInt(`0x${permitted ?? "0"}`) === (1n << BigInt(last + 1)) - 1n;
  return isComplete ? [] : ["unshare", "--user", "--map-root-user"];
}

const RECIPE_LABEL = "org.hyperpilot.recipe";

/** podman or docker: the image stays in the store of this machine. */
function layerBuilder(program: "podman" | "docker"): Builder {
  // Pilots look for names that begin so on their node, not in a registry.
  const tag = ({ name }: ImageRequest): string => `localhost/hyperpilot/${name}:${VERSION}`;
  const remedy =
    "Remove the cause that its last lines name. Without a registry: --base debian, or --base DIRECTORY.";
  return {
    name: program,
    target: (request) => `docker://${tag(request)}`,
    async isBuilt(request) {
      const format = `{{index .Config.Labels "${RECIPE_LABEL}"}}`;
      try {
        const label = await runBuildProgram(
          [program, "image", "inspect", "--format", format, tag(request)],
          { environment: request.environment, remedy },
        );
        return label.trim() === request.recipe;
      } catch (error) {
        // No such image; a program that does not work says so when it is to build.
        if (error instanceof HyperpilotError) return false;
        throw error;
      }
    },
    async build(request) {
      const { context, libraries, recipe } = request;
      const environment = { ...request.environment, DOCKER_BUILDKIT: "1" };
      const base = await importedBase(program, request);
      await runBuildProgram(
        [
          program,
          "build",
          "--file",
          "Containerfile",
          "--build-arg",
          `BASE=${base}`,
          "--build-arg",
          `LIBRARIES=${libraries}`,
          "--label",
          `${RECIPE_LABEL}=${recipe}`,
          "--tag",
          tag(request),
          ".",
        ],
        { environment, cwd: context, remedy },
      );
    },
  };
}

async function importedBase(
  program: "podman" | "docker",
  { base, context, environment }: BuildRequest,
): Promise<string> {
  switch (base.type) {
    case "registry":
      return base.image;
    case "file":
      throw new HyperpilotError({
        code: "E_CONFIG",
        message: `${program} builds upon images of a registry and root directories, not upon ${base.path}.`,
        remedy: "Use --builder apptainer, or --base with a directory.",
      });
    case "directory": {
      const remedy = "Check that the base is the root directory of a system.";
      const archive = join(context, "..", "base.tar");
      const name = "localhost/hyperpilot/base:local";
      await runBuildProgram(["tar", "-C", base.path, "-cf", archive, "."], { environment, remedy });
      await runBuildProgram([program, "import", archive, name], { environment, remedy });
      return name;
    }
  }
}

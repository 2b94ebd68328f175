import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const directory =
  process.env["HYPERPILOT_TESTBED"] ?? join(homedir(), ".cache", "hyperpilot", "testbed");

/** What `scripts/testbed` has built, or would build. */
export const testbed = {
  directory,
  /** Goes first in the PATH of a pilot that is to find these programs. */
  programs: join(directory, "bin"),
  apptainer: join(directory, "bin", "apptainer"),
  singularity: join(directory, "bin", "singularity"),
  podman: join(directory, "bin", "podman"),
  registryProgram: join(directory, "bin", "docker-registry"),
  registryStorage: join(directory, "registry"),
  /** Root directory of a small Debian. */
  debianDirectory: join(directory, "images", "debian-bookworm"),
  imageDirectory: join(directory, "images", "payload"),
  sifFile: join(directory, "images", "payload.sif"),
  /** All libraries for steering in one image. */
  steeringImage: join(directory, "images", "all.sif"),
  /** The evaluation image of examples/founding-document. */
  evaluationImage: join(directory, "images", "evaluation.sif"),
} as const;

/** Skips the suite, by name, where the testbed has not been built: it needs root and Debian. */
export function requireTestbed(context: Mocha.Context): void {
  if (existsSync(testbed.podman)) return;
  console.log("        skipped: no testbed here (scripts/testbed builds it)");
  context.skip();
}

/** Skips the suite, by name, where the images of `scripts/testbed-images` have not been built. */
export function requireImages(context: Mocha.Context): void {
  requireTestbed(context);
  if (existsSync(testbed.steeringImage) && existsSync(testbed.evaluationImage)) return;
  console.log("        skipped: no steering images here (scripts/testbed builds them)");
  context.skip();
}

/** SIF files as Apptainer makes them of images from a registry, without a registry. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "../../common/child.ts";
import { testbed } from "./testbed.ts";

export interface OciConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
}

/** Builds `directory`/image.sif with the programs of the testbed's busybox image. */
export async function buildOciImage(directory: string, config: OciConfig): Promise<string> {
  const layout = join(directory, "oci");
  mkdirSync(join(layout, "blobs", "sha256"), { recursive: true });
  const blob = (bytes: Uint8Array): { digest: string; size: number } => {
    const hash = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(layout, "blobs", "sha256", hash), bytes);
    return { digest: `sha256:${hash}`, size: bytes.length };
  };
  const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
  const archive = join(directory, "layer.tar");
  await run(["tar", "-C", testbed.imageDirectory, "-cf", archive, "."]);
  const layer = blob(readFileSync(archive));
  const platform = { architecture: "amd64", os: "linux" };
  const image = blob(
    json({ ...platform, config, rootfs: { type: "layers", diff_ids: [layer.digest] } }),
  );
  const type = "application/vnd.oci.image";
  const manifest = blob(
    json({
      schemaVersion: 2,
      mediaType: `${type}.manifest.v1+json`,
      config: { mediaType: `${type}.config.v1+json`, ...image },
      layers: [{ mediaType: `${type}.layer.v1.tar`, ...layer }],
    }),
  );
  const manifests = [{ mediaType: `${type}.manifest.v1+json`, ...manifest, platform }];
  writeFileSync(join(layout, "index.json"), json({ schemaVersion: 2, manifests }));
  writeFileSync(join(layout, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  const sif = join(directory, "image.sif");
  await run([testbed.apptainer, "build", sif, `oci:${layout}`]);
  return sif;
}

async function run(argv: readonly [string, ...string[]]): Promise<void> {
  const result = await runProgram(argv, { timeoutMs: 60_000 });
  if (result.exitCode !== 0) throw new Error(`${argv.join(" ")}: ${result.stderr}`);
}

/** The testbed's image registry as a process of this machine, with a copy of its images. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testbed } from "./testbed.ts";
import { waitUntil } from "./wait-until.ts";

/** What a registry with `isPrivate` asks for. */
export const REGISTRY_USER = { username: "anna", password: "open sesame 42" } as const;
const HTPASSWD = "anna:$2b$05$4jAmXsuXxTaBtsJTB.RzSeBNL51ZqO8lt5E1VGlkrva3A1GWm122e\n";

export interface TestRegistry {
  /** Host and port. */
  readonly name: string;
  /** The testbed's payload image, with scheme. */
  readonly image: string;
  /** Lines of its access log that hold `text`. */
  requests(text: string): readonly string[];
  stop(): Promise<void>;
}

export async function startRegistry(
  directory: string,
  { isPrivate = false }: { isPrivate?: boolean } = {},
): Promise<TestRegistry> {
  const storage = join(directory, "registry");
  mkdirSync(storage);
  cpSync(testbed.registryStorage, storage, { recursive: true });
  const users = join(directory, "registry-users");
  writeFileSync(users, HTPASSWD);
  const config = {
    version: "0.1",
    storage: { filesystem: { rootdirectory: storage } },
    http: { addr: "127.0.0.1:0", secret: "of this test" },
    ...(isPrivate ? { auth: { htpasswd: { realm: "test", path: users } } } : {}),
  };
  const file = join(directory, "registry.yml");
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(testbed.registryProgram, ["serve", file], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => output.push(chunk.toString()));
  const port = await waitUntil(
    "the registry listens",
    () => /listening on 127\.0\.0\.1:(\d+)/.exec(output.join(""))?.[1] ?? null,
    { state: () => output.slice(-5) },
  );
  const name = `127.0.0.1:${port}`;
  return {
    name,
    image: `docker://${name}/test/payload:1`,
    requests: (text) =>
      output
        .join("")
        .split("\n")
        .filter((line) => line.includes("HTTP/1.1") && line.includes(text)),
    stop: () => stop(child),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

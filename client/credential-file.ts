/** A registry credential from a file or standard input; nothing of it is in any message. */
import { closeSync, openSync, readSync } from "node:fs";
import { resolve } from "node:path";
import { isatty } from "node:tty";
import { z } from "zod";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { registryName } from "../protocol/image-reference.ts";
import { RegistryCredential } from "../protocol/rest.ts";

/** docker's config.json may hold the credentials of many registries. */
const FILE_BYTES_MAX = 262_144;

export interface CredentialSource {
  readonly registry: string;
  /** `-`: standard input. */
  readonly file: string;
  /** Given: the file holds the password alone. */
  readonly username: string | null;
  readonly workingDirectory: string;
}

const DockerConfig = z.object({
  auths: z.record(
    z.string(),
    z.object({
      auth: z.string().optional(),
      username: z.string().optional(),
      password: z.string().optional(),
    }),
  ),
});

/** Errors: E_FILE. */
export function readCredential(source: CredentialSource): RegistryCredential {
  const text = readText(source)
    .replace(/^\uFEFF/, "")
    .trim();
  const found = parse(text, source);
  const parsed = RegistryCredential.safeParse(found);
  if (parsed.success) return parsed.data;
  throw unfit(
    source,
    found === null
      ? "it has neither user:password nor an entry for this registry"
      : "it is empty, too long, or has more than one line",
  );
}

function parse(text: string, { registry, username }: CredentialSource): unknown {
  if (username !== null) return { username, password: text };
  if (text.startsWith("{")) return fromDockerConfig(text, registry);
  const colon = text.indexOf(":");
  return colon === -1 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function fromDockerConfig(text: string, registry: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Its message would quote the text.
    return null;
  }
  const config = DockerConfig.safeParse(value);
  const entries = config.success ? Object.entries(config.data.auths) : [];
  const entry = entries.find(([name]) => registryName(name) === registry)?.[1];
  if (entry === undefined) return null;
  if (entry.auth === undefined) return entry;
  const auth = Buffer.from(entry.auth, "base64").toString("utf8");
  const colon = auth.indexOf(":");
  return colon === -1 ? null : { username: auth.slice(0, colon), password: auth.slice(colon + 1) };
}

function readText(source: CredentialSource): string {
  const { file, workingDirectory } = source;
  if (file === "-" && isatty(0)) throw unfit(source, "a terminal would show what you type");
  const buffer = Buffer.alloc(FILE_BYTES_MAX + 1);
  let bytes = 0;
  try {
    const input = file === "-" ? 0 : openSync(resolve(workingDirectory, file), "r");
    try {
      for (;;) {
        const read = readSync(input, buffer, bytes, buffer.length - bytes, null);
        bytes += read;
        if (read === 0 || bytes > FILE_BYTES_MAX) break;
      }
    } finally {
      if (input !== 0) closeSync(input);
    }
  } catch (error) {
    throw unfit(source, errorText(error));
  }
  if (bytes > FILE_BYTES_MAX) throw unfit(source, `it has more than ${FILE_BYTES_MAX} bytes`);
  return buffer.toString("utf8", 0, bytes);
}

function unfit({ file, registry }: CredentialSource, why: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_FILE",
    message: `${file === "-" ? "Standard input" : file} gives no credential for ${registry}.`,
    why,
    remedy:
      "Write user:password into a file of mode 0600 and name it with --file; a file with a password alone needs --username.",
  });
}

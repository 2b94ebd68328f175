/**
 * Users' credentials for image registries: a file of mode 0600 per user in the data directory. They are neither journaled nor
 * logged nor shown; only a lease of one of the user's tasks gets them.
 */
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Clock } from "../../common/clock.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { SERVER } from "../../protocol/limits.ts";
import { RegistryCredential, type SecretView } from "../../protocol/rest.ts";
import { readPrivateFile, writePrivateFile } from "../data-directory.ts";

export interface RegistrySecrets {
  /** Durable when it resolves. Errors: E_LIMIT. */
  set(user: string, registry: string, credential: RegistryCredential): Promise<SecretView>;
  list(user: string): Promise<readonly SecretView[]>;
  /** false: there was none. */
  remove(user: string, registry: string): Promise<boolean>;
  get(user: string, registry: string): Promise<RegistryCredential | null>;
}

const UserFile = z.strictObject({
  /** For whoever looks at the file: its name is a hash. */
  user: z.string(),
  registries: z.record(
    z.string(),
    z.strictObject({ credential: RegistryCredential, setAt: z.string() }),
  ),
});
type UserFile = z.infer<typeof UserFile>;

/** Errors: E_CONFIG when others may read a file of it; those of mkdir. */
export async function openRegistrySecrets(
  directory: string,
  clock: Pick<Clock, "wallMs">,
): Promise<RegistrySecrets> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  /** One change of files at a time, so that none is lost. */
  let changing: Promise<unknown> = Promise.resolve();

  function change<T>(work: () => Promise<T>): Promise<T> {
    const changed = changing.then(work);
    changing = changed.catch(() => undefined);
    return changed;
  }

  // Names of users are anything, also "../x".
  const pathOf = (user: string): string =>
    join(directory, `${createHash("sha256").update(user).digest("hex")}.json`);

  async function read(user: string): Promise<UserFile> {
    const bytes = await readPrivateFile(pathOf(user));
    if (bytes === null) return { user, registries: {} };
    const parsed = UserFile.safeParse(parsedJson(bytes.toString("utf8")));
    if (parsed.success) return parsed.data;
    throw new HyperpilotError({
      code: "E_CONFIG",
      message: `The file ${pathOf(user)} cannot be read.`,
      why: "It is not what the server wrote.",
      remedy: "Remove it; its user sets the secrets again.",
    });
  }

  const write = (file: UserFile): Promise<void> =>
    writePrivateFile(pathOf(file.user), `${JSON.stringify(file)}\n`);

  return {
    set: (user, registry, credential) =>
      change(async () => {
        const { registries } = await read(user);
        const isNew = !Object.hasOwn(registries, registry);
        if (isNew && Object.keys(registries).length >= SERVER.secretsPerUserMax) throw tooMany();
        const setAt = new Date(clock.wallMs()).toISOString();
        await write({ user, registries: { ...registries, [registry]: { credential, setAt } } });
        return { registry, username: credential.username, setAt };
      }),
    list: async (user) =>
      Object.entries((await read(user)).registries)
        .map(([registry, { credential, setAt }]) => ({
          registry,
          username: credential.username,
          setAt,
        }))
        .sort((a, b) => (a.registry < b.registry ? -1 : 1)),
    remove: (user, registry) =>
      change(async () => {
        const { registries } = await read(user);
        if (!Object.hasOwn(registries, registry)) return false;
        const others = Object.entries(registries).filter(([name]) => name !== registry);
        await write({ user, registries: Object.fromEntries(others) });
        return true;
      }),
    get: async (user, registry) => {
      const { registries } = await read(user);
      return Object.hasOwn(registries, registry)
        ? (registries[registry]?.credential ?? null)
        : null;
    },
  };
}

/** The parser's message would quote the text. */
function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function tooMany(): HyperpilotError {
  return new HyperpilotError({
    code: "E_LIMIT",
    message: `You keep credentials for ${SERVER.secretsPerUserMax} registries, the most that is allowed.`,
    remedy: "Forget some: hyperpilot secret rm REGISTRY",
  });
}

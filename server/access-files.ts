/** The local tokens: an administrator's and a harvester's, made at the first start and kept in the data directory. */
import { join } from "node:path";
import { z } from "zod";
import { HyperpilotError } from "../protocol/errors.ts";
import { drawToken, tokenRecord } from "./auth/tokens.ts";
import type { Engine } from "./engine.ts";
import type { Role } from "./events.ts";
import { SERVER_PRINCIPAL } from "./gateway/boot-secrets.ts";
import { readPrivateFile, writePrivateFile } from "./data-directory.ts";

/** Content of `access.json`: where the server is, and with which token. */
export const AccessFile = z.object({
  server: z.string().max(2048),
  token: z.string().max(4096),
  caFingerprint: z.string().max(128).nullable(),
});
export type AccessFile = z.infer<typeof AccessFile>;

export interface AccessFilesDeps {
  readonly dataDirectory: string;
  readonly engine: Pick<Engine, "execute" | "read">;
  /** Owner of the tasks that are submitted with the local token. */
  readonly user: string;
}

/** Makes sure that both tokens are there and valid; a restart keeps them. Returns the administrator's. */
export async function ensureLocalTokens(deps: AccessFilesDeps): Promise<string> {
  const harvesterFile = join(deps.dataDirectory, "harvester-token");
  const known = (await readPrivateFile(harvesterFile))?.toString("utf8").trim();
  const harvester = await ensureToken(deps, known, "local harvester", {
    user: "local-harvester",
    roles: ["harvester"],
  });
  if (harvester !== known) await writePrivateFile(harvesterFile, `${harvester}\n`);
  return ensureToken(deps, (await readAccess(deps.dataDirectory))?.token, "local administrator", {
    user: deps.user,
    roles: ["user", "operator", "admin"],
  });
}

/** Writes `access.json`, unless it says the same already. */
export async function writeAccess(dataDirectory: string, access: AccessFile): Promise<void> {
  const text = `${JSON.stringify(access)}\n`;
  const known = await readPrivateFile(accessPath(dataDirectory));
  if (known?.toString("utf8") !== text) await writePrivateFile(accessPath(dataDirectory), text);
}

function accessPath(dataDirectory: string): string {
  return join(dataDirectory, "access.json");
}

async function readAccess(dataDirectory: string): Promise<AccessFile | null> {
  const path = accessPath(dataDirectory);
  const bytes = await readPrivateFile(path);
  if (bytes === null) return null;
  try {
    return AccessFile.parse(JSON.parse(bytes.toString("utf8")));
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_CONFIG",
        message: `The file ${path} cannot be read.`,
        why: "It is not what the server wrote.",
        remedy: "Remove it: the next start makes a new local token.",
      },
      error,
    );
  }
}

/** The token if the server still knows it, otherwise a new one. */
async function ensureToken(
  deps: AccessFilesDeps,
  known: string | undefined,
  name: string,
  role: Role,
): Promise<string> {
  const isValid =
    known !== undefined && (await deps.engine.read((core) => tokenRecord(core, known) !== null));
  if (isValid) return known;
  const { id, secret, sha256 } = drawToken();
  const command = { type: "issueToken", id, sha256, role, name } as const;
  await deps.engine.execute<"issueToken">(SERVER_PRINCIPAL, command);
  return secret;
}

/** Which server to ask, and with which token. Tokens come from files only: what is in argv can be read by every user of a machine. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { HyperpilotError, errorText, systemErrorCode } from "../protocol/errors.ts";
import { parseJsonText, toValue } from "../protocol/json-text.ts";
import type { Environment } from "./style.ts";

const FILE_BYTES_MAX = 65_536;

/** Written by `hyperpilot up` into its data directory. */
const AccessFile = z.object({
  server: z.string().max(2_048),
  token: z.string().min(1).max(8_192),
  caFingerprint: z.string().max(256).nullish(),
});

/** ~/.config/hyperpilot/credentials.json: {"servers": {"https://host:port": {"token": "..."}}}. */
const CredentialsFile = z.object({
  servers: z.record(z.string().max(2_048), z.object({ token: z.string().min(1).max(8_192) })),
});

export interface Connection {
  /** Origin, such as https://host:7070. */
  readonly server: string;
  readonly token: string;
}

export interface ConnectionRequest {
  /** From --server. */
  readonly server: string | undefined;
  readonly dataDirectory: string;
  readonly homeDirectory: string;
  readonly environment: Environment;
}

function accessFileOf(dataDirectory: string): string {
  return join(dataDirectory, "access.json");
}

/** What `up` says about its server; null when it is not there. Errors: E_CONFIG. */
export function readAccess(dataDirectory: string): z.infer<typeof AccessFile> | null {
  return readPrivateJson(accessFileOf(dataDirectory), AccessFile);
}

/** Flag before environment before the access file of `up`. A token is sent only to the server it was given for. */
export function findConnection(request: ConnectionRequest): Connection {
  const { environment } = request;
  const accessFile = accessFileOf(request.dataDirectory);
  const access = readAccess(request.dataDirectory);
  const chosen = [request.server, environment["HYPERPILOT_SERVER"], access?.server].find(
    (value) => value !== undefined && value !== "",
  );
  if (chosen === undefined) throw noServer(accessFile);
  const server = originOf(chosen);
  const tokenFile = environment["HYPERPILOT_TOKEN_FILE"] ?? "";
  if (tokenFile !== "") return { server, token: readTokenFile(tokenFile) };
  if (access !== null && originOf(access.server) === server) return { server, token: access.token };
  const credentialsFile = join(request.homeDirectory, ".config", "hyperpilot", "credentials.json");
  const credentials = readPrivateJson(credentialsFile, CredentialsFile);
  for (const [known, { token }] of Object.entries(credentials?.servers ?? {})) {
    if (originOf(known) === server) return { server, token };
  }
  throw new HyperpilotError({
    code: "E_UNAUTHENTICATED",
    message: `No token for ${server}.`,
    why: `Neither HYPERPILOT_TOKEN_FILE nor ${accessFile} nor ${credentialsFile} has one for this server.`,
    remedy: "Save the token in a file of mode 0600 and name it in HYPERPILOT_TOKEN_FILE.",
  });
}

function noServer(accessFile: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_UNREACHABLE",
    message: "No server is known.",
    why: `There is no --server, no HYPERPILOT_SERVER, and no ${accessFile}.`,
    remedy: "Start one here with: hyperpilot up\nor name one with --server https://host:port",
  });
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new HyperpilotError({
      code: "E_USAGE",
      message: `${JSON.stringify(text)} is not the address of a server.`,
      remedy: "Write it as https://host:port or http://127.0.0.1:port.",
    });
  }
  if (url.username !== "" || url.password !== "") {
    throw new HyperpilotError({
      code: "E_USAGE",
      message: "The address of the server holds a user name or a password.",
      why: "Whatever is in a command line can be read by others on the same machine.",
      remedy: "Save the token in a file of mode 0600 and name it in HYPERPILOT_TOKEN_FILE.",
    });
  }
  return url.origin;
}

function readTokenFile(file: string): string {
  const token = readText(file)?.trim();
  if (token !== undefined && token !== "" && !/\s/.test(token)) return token;
  throw new HyperpilotError({
    code: "E_CONFIG",
    message: `The token file ${file} ${token === undefined ? "is not there" : "does not hold one token"}.`,
    remedy: "Write the token and nothing else into it, or correct HYPERPILOT_TOKEN_FILE.",
  });
}

/** null when the file is not there. Refuses files that others may read. */
function readPrivateJson<T>(file: string, schema: z.ZodType<T>): T | null {
  const text = readText(file);
  if (text === null) return null;
  if ((statSync(file).mode & 0o077) !== 0) {
    throw new HyperpilotError({
      code: "E_CONFIG",
      message: `${file} holds a token and can be read by others.`,
      remedy: `Run: chmod 600 ${file}`,
    });
  }
  const parsed = schema.safeParse(toValue(parseJsonText(text, { name: file })));
  if (parsed.success) return parsed.data;
  throw new HyperpilotError({
    code: "E_CONFIG",
    message: `${file} is not as expected: ${parsed.error.issues[0]?.message ?? ""}.`,
    remedy: "Remove the file; hyperpilot up writes its own again.",
  });
}

function readText(file: string): string | null {
  try {
    if (statSync(file).size > FILE_BYTES_MAX) throw new Error(`more than ${FILE_BYTES_MAX} bytes`);
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new HyperpilotError(
      {
        code: "E_CONFIG",
        message: `${file} cannot be read: ${errorText(error)}.`,
        remedy: "Correct its owner, mode and size.",
      },
      error,
    );
  }
}

/** What a server is started with, checked before anything is opened. */
import { readFileSync, statSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { z } from "zod";
import { HyperpilotError, errorText } from "../protocol/errors.ts";

export const DEFAULT_PORT = 7070;

const absolutePath = z.string().startsWith("/").max(1024);
const networkAddress = z
  .string()
  .refine((text) => isNetwork(text), "an IP address, or a network such as 10.0.0.0/8");

export const ServerOptions = z.strictObject({
  /** Data directory; made when it is not there. */
  data: absolutePath,
  host: z.string().min(1).max(255).default("127.0.0.1"),
  /** 0: any free one; `access.json` tells which. */
  port: z.number().int().min(0).max(65_535).default(DEFAULT_PORT),
  /** PEM files. */
  certificateFile: absolutePath.nullable().default(null),
  keyFile: absolutePath.nullable().default(null),
  /** Addresses or networks of the proxies that hold the certificate instead. */
  behindProxy: z.array(networkAddress).max(64).default([]),
  /** Keeps a queue `local` for this machine; its paths stay as they are unless given. */
  localQueue: z
    .strictObject({ readOnlyPaths: z.array(absolutePath).max(64).optional() })
    .nullable()
    .default(null),
});
/** As callers write them. */
export type ServerOptionsInput = z.input<typeof ServerOptions>;

export interface ServerConfig extends z.infer<typeof ServerOptions> {
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

/** Checks the options and reads the certificate. Errors: E_CONFIG. */
export function readServerConfig(options: ServerOptionsInput): ServerConfig {
  const parsed = ServerOptions.safeParse(options);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new HyperpilotError({
      code: "E_CONFIG",
      message: `The server's option '${issue?.path.join(".") ?? ""}' is not valid.`,
      why: issue?.message ?? "",
      remedy: "hyperpilot server --help",
    });
  }
  const config = parsed.data;
  const tls = readCertificate(config.certificateFile, config.keyFile);
  if (tls === null && !isLoopback(config.host) && config.behindProxy.length === 0) {
    throw new HyperpilotError({
      code: "E_CONFIG",
      message: `The server does not listen on ${config.host} without encryption.`,
      why: "Tokens and results would cross the network in the clear.",
      remedy:
        "Give --certificate and --key, or --behindProxy ADDRESS of the proxy that holds the certificate, or listen on 127.0.0.1.",
    });
  }
  return { ...config, tls };
}

function readCertificate(
  certificateFile: string | null,
  keyFile: string | null,
): ServerConfig["tls"] {
  if (certificateFile === null && keyFile === null) return null;
  if (certificateFile === null || keyFile === null) {
    throw new HyperpilotError({
      code: "E_CONFIG",
      message: "A certificate needs its key, and a key its certificate.",
      remedy: "Give both --certificate and --key.",
    });
  }
  try {
    if ((statSync(keyFile).mode & 0o007) !== 0) {
      throw new HyperpilotError({
        code: "E_CONFIG",
        message: `The key ${keyFile} can be read by everybody on this machine.`,
        remedy: `chmod 600 ${keyFile}`,
      });
    }
    return { cert: readFileSync(certificateFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  } catch (error) {
    if (error instanceof HyperpilotError) throw error;
    throw new HyperpilotError(
      {
        code: "E_CONFIG",
        message: "The certificate cannot be read.",
        why: errorText(error),
        remedy: "Check the paths of --certificate and --key, and who may read them.",
      },
      error,
    );
  }
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function isNetwork(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return (
    prefix === undefined ||
    (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
  );
}

/** Whether a connection may come from this address: only the proxies and this machine reach a server without certificate. */
export function createAddressCheck(
  behindProxy: readonly string[],
): (address: string | undefined) => boolean {
  const allowed = new BlockList();
  for (const network of ["127.0.0.0/8", "::1", ...behindProxy]) {
    const [address = "", prefix] = network.split("/");
    const family = isIP(address) === 4 ? "ipv4" : "ipv6";
    if (prefix === undefined) allowed.addAddress(address, family);
    else allowed.addSubnet(address, Number(prefix), family);
  }
  return (address = "") => {
    const plain = address.replace(/^::ffff:(?=\d+\.)/, "");
    return isIP(plain) !== 0 && allowed.check(plain, isIP(plain) === 4 ? "ipv4" : "ipv6");
  };
}

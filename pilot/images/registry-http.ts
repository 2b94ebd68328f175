/** HTTP to image registries: by the node's proxies, with the node's own certificates besides Node's. */
import { existsSync, readFileSync } from "node:fs";
import { type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { type Socket, isIP } from "node:net";
import { type SecureContext, createSecureContext, connect, rootCertificates } from "node:tls";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import { PILOT } from "../../protocol/limits.ts";
import type { Environment } from "../runtime/runtime.ts";

export interface RegistryAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface RegistryRequest {
  readonly method: "GET" | "HEAD";
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** With the variables that name proxies, such as https_proxy. */
  readonly environment: Environment;
}

/**
 * One request; redirections are followed, and credentials are sent to the first host only. Errors: E_UNREACHABLE with a cause,
 * E_TOO_LARGE.
 */
export async function askRegistry(url: URL, asked: RegistryRequest): Promise<RegistryAnswer> {
  let target = url;
  let headers = asked.headers;
  let answer = await exchange(target, asked);
  for (let followed = 0; followed < PILOT.registryRedirectsMax; followed += 1) {
    const next = redirection(target, answer);
    if (next === null) return answer;
    if (next.host !== target.host) headers = withoutAuthorization(headers);
    target = next;
    answer = await exchange(target, { ...asked, headers });
  }
  return answer;
}

function redirection(from: URL, { status, headers }: RegistryAnswer): URL | null {
  const { location } = headers;
  if (status < 300 || status > 308 || location === undefined || !URL.canParse(location, from.href))
    return null;
  const next = new URL(location, from);
  // Neither from https to http, nor to anything else.
  return next.protocol === from.protocol ? next : null;
}

function withoutAuthorization(headers: RegistryRequest["headers"]): RegistryRequest["headers"] {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"),
  );
}

async function exchange(url: URL, asked: RegistryRequest): Promise<RegistryAnswer> {
  const signal = AbortSignal.any([asked.signal, AbortSignal.timeout(PILOT.registryTimeoutMs)]);
  try {
    const response = await open(url, { ...asked, signal });
    const body = await textOf(response);
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  } catch (error) {
    asked.signal.throwIfAborted();
    if (error instanceof HyperpilotError) throw error;
    throw new HyperpilotError(
      {
        code: "E_UNREACHABLE",
        message: `The registry ${url.host} cannot be reached.`,
        why: errorText(error),
        remedy: "look at the network of this node, and at its proxy (https_proxy)",
      },
      error,
    );
  }
}

async function open(url: URL, asked: RegistryRequest): Promise<IncomingMessage> {
  const { method, signal } = asked;
  // Each connection is used once: the next request may go by another proxy.
  const options = { method, signal, headers: { ...asked.headers, connection: "close" } };
  const proxy = proxyOf(url, asked.environment);
  const tunnel = proxy === null ? null : await openTunnel(proxy, url, signal);
  return new Promise((resolve, reject) => {
    const request =
      url.protocol === "http:"
        ? requestHttp(url, options)
        : requestHttps(url, { ...options, createConnection: () => connectTls(url, tunnel) });
    request.on("error", reject);
    request.on("response", resolve);
    request.end();
  });
}

function connectTls(url: URL, tunnel: Socket | null): Socket {
  const { hostname } = url;
  return connect({
    host: hostname,
    port: portOf(url),
    ...(tunnel === null ? {} : { socket: tunnel }),
    // An address is no server name (RFC 6066).
    servername: isIP(hostname) === 0 ? hostname : "",
    secureContext: nodeCertificates(),
  });
}

function portOf(url: URL): number {
  return url.port === "" ? 443 : Number(url.port);
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > PILOT.imageManifestBytesMax) {
      throw new HyperpilotError({
        code: "E_TOO_LARGE",
        message: `The registry's answer has more than ${PILOT.imageManifestBytesMax} bytes.`,
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The proxy for https:// addresses that the environment names, unless it excludes the host. */
export function proxyOf(url: URL, environment: Environment): URL | null {
  if (url.protocol !== "https:") return null;
  const of = (name: string): string => environment[name] ?? environment[name.toUpperCase()] ?? "";
  const proxy = of("https_proxy");
  const excluded = of("no_proxy")
    .split(",")
    .map((word) => word.trim().replace(/^\*?\./, ""))
    .filter((word) => word !== "");
  const isExcluded = excluded.some(
    (word) => word === "*" || url.hostname === word || url.hostname.endsWith(`.${word}`),
  );
  if (proxy === "" || isExcluded) return null;
  return new URL(/^[a-z]+:\/\//.test(proxy) ? proxy : `http://${proxy}`);
}

function openTunnel(proxy: URL, url: URL, signal: AbortSignal): Promise<Socket> {
  const target = `${url.hostname}:${portOf(url)}`;
  const user = decodeURIComponent(proxy.username);
  const login = Buffer.from(`${user}:${decodeURIComponent(proxy.password)}`).toString("base64");
  return new Promise((resolve, reject) => {
    const request = requestHttp({
      host: proxy.hostname,
      port: proxy.port === "" ? 80 : Number(proxy.port),
      method: "CONNECT",
      path: target,
      headers: {
        host: target,
        ...(user === "" ? {} : { "proxy-authorization": `Basic ${login}` }),
      },
      agent: false,
      signal,
    });
    request.on("error", reject);
    request.on("connect", (response, socket) => {
      if (response.statusCode === 200) return resolve(socket);
      socket.destroy();
      reject(new Error(`the proxy ${proxy.host} answered HTTP ${response.statusCode ?? 0}`));
    });
    request.on("response", (response) => {
      response.resume();
      reject(new Error(`the proxy ${proxy.host} answered HTTP ${response.statusCode ?? 0}`));
    });
    request.end();
  });
}

/** Where distributions keep the certificates that the node's operator trusts; Go's list, which the runtimes look at. */
const CERTIFICATE_FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];
let certificates: SecureContext | null = null;

function nodeCertificates(): SecureContext {
  const file = [process.env["SSL_CERT_FILE"] ?? "", ...CERTIFICATE_FILES].find(existsSync);
  certificates ??= createSecureContext({
    ca: [...rootCertificates, ...(file === undefined ? [] : [readFileSync(file, "utf8")])],
  });
  return certificates;
}

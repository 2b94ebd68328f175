/**
 * What a registry says of an image: its digest and size. Asked before anything is fetched, so that one image has one name on
 * the node however it is called, and so that an image that somebody else's credentials have brought here is run for nobody
 * whom the registry would not give it. The runtimes fetch by themselves, by digest: they know mirrors, formats and layers.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { ImageReference } from "../../protocol/image-reference.ts";
import type { RegistryCredential } from "../../protocol/rest.ts";
import type { Environment } from "../runtime/runtime.ts";
import { imageDenied, imageNotFound } from "./image-errors.ts";
import { askRegistry, type RegistryAnswer } from "./registry-http.ts";

export interface RegistryQuestion {
  readonly reference: ImageReference;
  readonly credential: RegistryCredential | null;
  readonly environment: Environment;
  readonly signal: AbortSignal;
}

export interface ResolvedImage {
  /** `sha256:` and 64 hex digits. */
  readonly digest: string;
  /** Name with digest, without scheme. */
  readonly name: string;
  readonly isPlainHttp: boolean;
  /** Bytes to fetch; null when the registry does not tell. */
  readonly sizeBytes: number | null;
}

const DIGEST = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const Size = z.object({ size: z.number().int().nonnegative() });
const Manifest = z.object({ config: Size, layers: z.array(Size) });
const Index = z.object({
  manifests: z.array(
    z.object({
      digest: DIGEST,
      platform: z.object({ architecture: z.string(), os: z.string() }).optional(),
    }),
  ),
});
const TokenAnswer = z.object({ token: z.string().optional(), access_token: z.string().optional() });

const ACCEPT = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" };

/** Errors: E_IMAGE with its cause; E_UNREACHABLE when a later try may work. */
export async function resolveImage(question: RegistryQuestion): Promise<ResolvedImage> {
  const session = new RegistrySession(question);
  const { registry, repository, tag, digest: given } = question.reference;
  const version = given ?? tag ?? "latest";
  const answer = await session.manifest("HEAD", version);
  const digest = given ?? (await digestOf(session, version, answer));
  return {
    digest,
    name: `${registry}/${repository}@${digest}`,
    isPlainHttp: session.isPlainHttp,
    sizeBytes: await sizeOf(session, digest),
  };
}

async function digestOf(
  session: RegistrySession,
  version: string,
  answer: RegistryAnswer,
): Promise<string> {
  const told = DIGEST.safeParse(answer.headers["docker-content-digest"]);
  if (told.success) return told.data;
  const { body } = await session.manifest("GET", version);
  return `sha256:${createHash("sha256").update(body).digest("hex")}`;
}

/** Only for people and for making room: whatever cannot be read is unknown. */
async function sizeOf(session: RegistrySession, digest: string): Promise<number | null> {
  try {
    const value = parsedJson((await session.manifest("GET", digest)).body);
    const index = Index.safeParse(value);
    if (!index.success) return sizeOfManifest(value);
    const architecture = ARCHITECTURES[process.arch] ?? process.arch;
    const ours = index.data.manifests.find(
      ({ platform }) => platform?.os === "linux" && platform.architecture === architecture,
    );
    if (ours === undefined) return null;
    return sizeOfManifest(parsedJson((await session.manifest("GET", ours.digest)).body));
  } catch (error) {
    if (error instanceof HyperpilotError) return null;
    throw error;
  }
}

function sizeOfManifest(value: unknown): number | null {
  const manifest = Manifest.safeParse(value);
  if (!manifest.success) return null;
  const { config, layers } = manifest.data;
  return layers.reduce((sum, { size }) => sum + size, config.size);
}

/** Requests about one repository, with the authorization that the registry asked for. */
class RegistrySession {
  readonly #question: RegistryQuestion;
  #authorization: string | null = null;
  #base: string | null = null;

  constructor(question: RegistryQuestion) {
    this.#question = question;
  }

  get isPlainHttp(): boolean {
    return this.#base?.startsWith("http:") ?? false;
  }

  /** Errors: E_IMAGE, E_UNREACHABLE. */
  async manifest(method: "GET" | "HEAD", version: string): Promise<RegistryAnswer> {
    const { repository } = this.#question.reference;
    const path = `/v2/${repository}/manifests/${version}`;
    let answer = await this.#ask(method, path);
    if (answer.status === 401 && this.#authorization === null) {
      this.#authorization = await this.#authorize(answer);
      answer = await this.#ask(method, path);
    }
    if (answer.status === 200) return answer;
    throw this.#refusal(answer);
  }

  async #ask(method: "GET" | "HEAD", path: string): Promise<RegistryAnswer> {
    const { signal, environment } = this.#question;
    const headers = {
      accept: ACCEPT,
      ...(this.#authorization === null ? {} : { authorization: this.#authorization }),
    };
    this.#base ??= await this.#findBase();
    return askRegistry(new URL(this.#base + path), { method, headers, signal, environment });
  }

  /** https, and on this machine, where nobody listens in, http too: docker's own rule. */
  async #findBase(): Promise<string> {
    const { reference, signal, environment } = this.#question;
    const { registry } = reference;
    const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
    if (!isLoopback(host)) return `https://${host}`;
    try {
      const url = new URL(`https://${host}/v2/`);
      await askRegistry(url, { method: "GET", headers: {}, signal, environment });
      return `https://${host}`;
    } catch (error) {
      if (!(error instanceof HyperpilotError) || error.code !== "E_UNREACHABLE") throw error;
      return `http://${host}`;
    }
  }

  /** The header for what the answer asks for. Errors: E_IMAGE (denied), E_UNREACHABLE. */
  async #authorize(answer: RegistryAnswer): Promise<string> {
    const { credential } = this.#question;
    const challenge = answer.headers["www-authenticate"] ?? "";
    const basic =
      credential === null
        ? null
        : `Basic ${Buffer.from(`${credential.username}:${credential.password}`).toString("base64")}`;
    if (/^bearer\b/i.test(challenge)) return `Bearer ${await this.#token(challenge, basic)}`;
    if (basic !== null) return basic;
    throw this.#denied("the registry asks for a name and a password");
  }

  /** As the OCI and Docker registries' token protocol has it. */
  async #token(challenge: string, basic: string | null): Promise<string> {
    const { signal, environment, reference } = this.#question;
    const parameters = new Map(
      [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value ?? ""]),
    );
    const url = tokenAddress(parameters.get("realm") ?? "", this.isPlainHttp);
    if (url === null) throw this.#denied("its answer names no address for tokens");
    for (const key of ["service", "scope"]) {
      const value = parameters.get(key);
      if (value !== undefined) url.searchParams.set(key, value);
    }
    if (!url.searchParams.has("scope"))
      url.searchParams.set("scope", `repository:${reference.repository}:pull`);
    const headers: Record<string, string> = basic === null ? {} : { authorization: basic };
    const answer = await askRegistry(url, { method: "GET", headers, signal, environment });
    if (answer.status !== 200) throw this.#refusal(answer);
    const parsed = TokenAnswer.safeParse(parsedJson(answer.body));
    const token = parsed.data?.token ?? parsed.data?.access_token;
    if (token !== undefined) return token;
    throw this.#denied("its token could not be read");
  }

  #refusal({ status }: RegistryAnswer): HyperpilotError {
    const { registry } = this.#question.reference;
    if (status === 404)
      return imageNotFound(this.#name, `registry ${registry} does not have it (HTTP 404)`);
    if (status === 401 || status === 403) return this.#denied(`HTTP ${status}`);
    return new HyperpilotError({
      code: "E_UNREACHABLE",
      message: `The registry ${registry} did not answer about image ${this.#name}.`,
      why: status === 429 ? "it takes no more requests for now (HTTP 429)" : `HTTP ${status}`,
      remedy:
        status === 429
          ? `wait, or use an account of your own: hyperpilot secret set ${registry} --file FILE`
          : "look at the registry",
    });
  }

  #denied(why: string): HyperpilotError {
    const { registry } = this.#question.reference;
    const whose =
      this.#question.credential === null ? "without credentials" : "with your credentials";
    return imageDenied(this.#name, registry, `registry ${registry} refused it ${whose}: ${why}`);
  }

  get #name(): string {
    const { registry, repository, tag, digest } = this.#question.reference;
    return `docker://${registry}/${repository}${digest === null ? `:${tag ?? ""}` : `@${digest}`}`;
  }
}

/** Credentials go by https only, but where the registry itself is on this machine. */
function tokenAddress(realm: string, isPlainHttp: boolean): URL | null {
  if (!URL.canParse(realm)) return null;
  const url = new URL(realm);
  const isSafe = url.protocol === "https:" || (isPlainHttp && isLoopback(url.host));
  return isSafe ? url : null;
}

function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || name === "[::1]" || /^127(\.\d+){3}$/.test(name);
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

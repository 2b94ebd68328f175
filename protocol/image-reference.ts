/** Names of images in registries, as `docker://` addresses write them. */
import { z } from "zod";

const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::\d{1,5})?$/;
const PATH_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const DOCKER_HUB = "docker.io";
const DOCKER_HUB_NAMES = [DOCKER_HUB, "index.docker.io", "registry-1.docker.io"];

/** Not a registry: what podman and docker have built on the node itself. With a port it is a registry of the node. */
export const LOCAL_REGISTRY = "localhost";

/** Host name of a registry, with a port where it has one. */
export const RegistryName = z
  .string()
  .max(255)
  .transform((text) => registryName(text))
  .pipe(z.string().regex(HOST, "no host name of a registry, such as registry.example.org"));

export interface ImageReference {
  /** `docker.io` for Docker Hub. */
  readonly registry: string;
  readonly repository: string;
  /** null when a digest names the image. */
  readonly tag: string | null;
  readonly digest: string | null;
}

/** One name for each registry, whatever it is called: without scheme and path, in small letters. */
export function registryName(text: string): string {
  const name = text
    .trim()
    .toLowerCase()
    .replace(/^[a-z]+:\/\//, "")
    .replace(/\/.*$/, "");
  return DOCKER_HUB_NAMES.includes(name) ? DOCKER_HUB : name;
}

/** Reads `docker://[registry/]repository[:tag][@digest]` by docker's rules; null when it is no such name. */
export function parseImageReference(image: string): ImageReference | null {
  if (!image.startsWith("docker://") || image.length > 4096) return null;
  const [name = "", digest = null, ...more] = image.slice("docker://".length).split("@");
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(0, slash));
  const hasRegistry = /[.:]/.test(first) || first === "localhost";
  const registry = hasRegistry ? registryName(first) : DOCKER_HUB;
  const rest = hasRegistry ? name.slice(slash + 1) : name;
  const colon = rest.indexOf(":");
  const path = colon === -1 ? rest : rest.slice(0, colon);
  const tag = colon === -1 ? "latest" : rest.slice(colon + 1);
  const repository = registry === DOCKER_HUB && !path.includes("/") ? `library/${path}` : path;
  const isWell =
    more.length === 0 &&
    HOST.test(registry) &&
    repository.length <= 255 &&
    repository.split("/").every((part) => PATH_PART.test(part)) &&
    TAG.test(tag) &&
    (digest === null || DIGEST.test(digest));
  return isWell ? { registry, repository, tag: digest === null ? tag : null, digest } : null;
}

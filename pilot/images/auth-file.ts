import type { RegistryCredential } from "../../protocol/rest.ts";

/** Content of a credentials file of docker's form, for the registry of one image. */
export function authFileText(reference: string, credential: RegistryCredential): string {
  const registry = reference.split("/")[0] ?? "";
  const { username, password } = credential;
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  // Docker Hub's entry has an old name that docker and podman both look for.
  const names = registry === "docker.io" ? [registry, "https://index.docker.io/v1/"] : [registry];
  return JSON.stringify({ auths: Object.fromEntries(names.map((name) => [name, { auth }])) });
}

/** The folder `steering/` that the images are made of, and what the place where they are built adds to it. */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import type { Environment } from "../style.ts";

/** What the image is built from; the rest of the folder is for people. */
const PARTS = ["Containerfile", "image.def", "install.sh", "launch.py", "hyperpilot_steering", "requirements"]; // prettier-ignore

/** Where install.sh finds the settings, as seen inside the image. */
const SETTINGS_INSIDE = "/opt/hyperpilot-build/build-settings";

/** Variables that make pip reach its packages from here. */
const PASSED_ON = [
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "PIP_INDEX_URL",
  "PIP_EXTRA_INDEX_URL",
  "PIP_TRUSTED_HOST",
  "PIP_DEFAULT_TIMEOUT",
  "PIP_RETRIES",
];
/** Files with the certificates of a place whose proxies look into TLS; the first that is set. */
const CERTIFICATES = ["PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"];
/** Where Linux systems keep theirs, to which such places add their own. */
const SYSTEM_CERTIFICATES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"]; // prettier-ignore

/** The folder as it lies beside these programs. Errors: E_FILE. */
export function findSources(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (directory !== dirname(directory)) {
    const candidate = join(directory, "steering");
    if (existsSync(join(candidate, "install.sh"))) return candidate;
    directory = dirname(directory);
  }
  throw new HyperpilotError({
    code: "E_FILE",
    message: "The folder steering/ is not beside these programs.",
    remedy: "Run the command from a complete clone.",
  });
}

/** sha256 over names and bytes of what the images are built from. */
export function hashOfSources(sources: string): string {
  const hash = createHash("sha256");
  for (const name of filesOf(sources)) {
    const bytes = readFileSync(join(sources, name));
    hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("hex");
}

function filesOf(sources: string): string[] {
  const names = PARTS.flatMap((part) => {
    if (part.includes(".")) return [part];
    if (part === "Containerfile") return [part];
    const inside = readdirSync(join(sources, part), { encoding: "utf8" });
    return inside.filter((name) => /\.(py|txt)$/.test(name)).map((name) => join(part, name));
  });
  return names.sort();
}

/** A copy of the sources with the settings of this place, for one build; only its owner can read it. Errors: E_FILE. */
export function writeBuildContext(
  sources: string,
  directory: string,
  environment: Environment,
): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of filesOf(sources)) cpSync(join(sources, name), join(directory, name));
  const settings = join(directory, "build-settings");
  mkdirSync(settings, { mode: 0o700 });
  const lines = PASSED_ON.flatMap((name) => {
    const value = environment[name] ?? "";
    return value === "" ? [] : [`export ${name}=${quoted(value)}`];
  });
  const certificates =
    CERTIFICATES.map((name) => environment[name] ?? "").find((file) => file !== "") ??
    SYSTEM_CERTIFICATES.find((file) => existsSync(file));
  if (certificates !== undefined) {
    copyCertificates(certificates, join(settings, "certificates.pem"));
    lines.push(`export PIP_CERT=${SETTINGS_INSIDE}/certificates.pem`);
  }
  writeFileSync(join(settings, "environment.sh"), `${lines.join("\n")}\n`, { mode: 0o600 });
}

function copyCertificates(from: string, to: string): void {
  try {
    writeFileSync(to, readFileSync(from));
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_FILE",
        message: `The certificates ${from} cannot be read.`,
        why: errorText(error),
        remedy: `Correct ${CERTIFICATES.join(", ")} in the environment.`,
      },
      error,
    );
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

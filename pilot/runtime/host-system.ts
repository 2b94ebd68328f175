import { lstatSync, readlinkSync } from "node:fs";
import { HOST_SYSTEM_PATHS } from "../../protocol/host-paths.ts";

/** What a `host:` payload sees of the node: system directories, and the few files below /etc that programs need. */
export interface HostSystem {
  readonly directories: readonly string[];
  /** Links at the top, such as /bin -> usr/bin, made again as they are. */
  readonly links: readonly { readonly path: string; readonly target: string }[];
  readonly configuration: readonly string[];
}

/** Loader, names, certificates, time zone, alternatives. Neither keys (/etc/ssl/private) nor users nor services. */
const CONFIGURATION_PATHS = [
  "/etc/ld.so.cache",
  "/etc/ld.so.conf",
  "/etc/ld.so.conf.d",
  "/etc/nsswitch.conf",
  "/etc/hosts",
  "/etc/resolv.conf",
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/pki/tls/certs",
  "/etc/pki/tls/cert.pem",
  "/etc/pki/ca-trust/extracted",
  "/etc/localtime",
  "/etc/alternatives",
] as const;

/** Looks at the node once; what is absent is left out. */
export function readHostSystem(): HostSystem {
  const directories: string[] = [];
  const links: { path: string; target: string }[] = [];
  for (const path of HOST_SYSTEM_PATHS) {
    const entry = lstatSync(path, { throwIfNoEntry: false });
    if (entry?.isSymbolicLink() === true) links.push({ path, target: readlinkSync(path) });
    else if (entry?.isDirectory() === true) directories.push(path);
  }
  const configuration = CONFIGURATION_PATHS.filter(
    (path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined,
  );
  return { directories, links, configuration };
}

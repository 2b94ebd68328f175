import { lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

/**
 * Makes the root of an image that runs the node's own programs once `host.directories` are bound over it: for self-tests,
 * as no node has an image for certain.
 */
export function makeHostRoot(root: string, host: HostSystem, mountPoints: readonly string[]): void {
  const own = ["/etc", "/proc", "/sys", "/dev", "/tmp", "/var/tmp", ...mountPoints];
  for (const path of [...own, ...host.directories])
    mkdirSync(join(root, path), { recursive: true });
  for (const link of host.links) symlinkSync(link.target, join(root, link.path));
  for (const file of ["passwd", "group"]) writeFileSync(join(root, "etc", file), "");
}

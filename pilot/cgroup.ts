/** Limits that control groups set on this process, in versions 1, 2 and both at once. Pure: files come through a port. */

/** The text of a file, or null when it is not there or may not be read. */
export type ReadFile = (path: string) => string | null;

/** One limit with the place where it was found. */
export interface Finding {
  readonly value: number;
  readonly source: string;
}

interface Hierarchy {
  readonly version: 1 | 2;
  /** Directories from the own group up to the top of what is mounted. */
  readonly directories: readonly string[];
}

/** CPU quotas of the own group and all groups above it, in CPUs. */
export function cpuQuotas(readFile: ReadFile): readonly Finding[] {
  return hierarchies(readFile, "cpu").flatMap(({ version, directories }) =>
    directories.flatMap((directory) => {
      const value =
        version === 2
          ? quotaV2(readFile(`${directory}/cpu.max`))
          : quotaV1(
              readFile(`${directory}/cpu.cfs_quota_us`),
              readFile(`${directory}/cpu.cfs_period_us`),
            );
      const file = version === 2 ? "cpu.max" : "cpu.cfs_quota_us";
      return value === null ? [] : [{ value, source: `cgroup v${version} ${file}` }];
    }),
  );
}

/** Memory limits of the own group and all groups above it, in bytes. */
export function memoryLimits(readFile: ReadFile): readonly Finding[] {
  return hierarchies(readFile, "memory").flatMap(({ version, directories }) => {
    const file = version === 2 ? "memory.max" : "memory.limit_in_bytes";
    return directories.flatMap((directory) => {
      const value = memoryLimit(readFile(`${directory}/${file}`));
      return value === null ? [] : [{ value, source: `cgroup v${version} ${file}` }];
    });
  });
}

/** "max 100000" or "150000 100000": microseconds per period. */
function quotaV2(text: string | null): number | null {
  const [quota, period] = (text ?? "").trim().split(/\s+/).map(Number);
  return ratio(quota, period);
}

/** Version 1 writes -1 for no limit. */
function quotaV1(quota: string | null, period: string | null): number | null {
  return quota === null || period === null ? null : ratio(Number(quota), Number(period));
}

function ratio(quota = Number.NaN, period = Number.NaN): number | null {
  return quota > 0 && period > 0 ? quota / period : null;
}

/** "max", or in version 1 the largest number of whole pages, means none. */
function memoryLimit(text: string | null): number | null {
  const value = Number((text ?? "").trim() || Number.NaN);
  return value > 0 && value < 2 ** 60 ? value : null;
}

/** The hierarchies that hold a controller: version 1's own one, version 2's, or both. */
function hierarchies(readFile: ReadFile, controller: string): readonly Hierarchy[] {
  const groups = (readFile("/proc/self/cgroup") ?? "").split("\n").flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    return controllers === undefined || path === undefined ? [] : [{ controllers, path }];
  });
  return (readFile("/proc/self/mountinfo") ?? "").split("\n").flatMap((line) => {
    const mount = parseMount(line);
    if (mount === null) return [];
    const version = mount.type === "cgroup2" ? 2 : 1;
    if (version === 1 && !mount.options.split(",").includes(controller)) return [];
    const group = groups.find(({ controllers }) =>
      version === 2 ? controllers === "" : controllers.split(",").includes(controller),
    );
    if (group === undefined) return [];
    return [{ version, directories: upwards(mount.point, belowRoot(group.path, mount.root)) }];
  });
}

interface Mount {
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: string;
}

/** A line of mountinfo (proc_pid_mountinfo(5)) that mounts a hierarchy; null for others. */
function parseMount(line: string): Mount | null {
  const [head, tail] = line.split(" - ");
  const [, , , root, point] = (head ?? "").split(" ");
  const [type, , options] = (tail ?? "").split(" ");
  if (root === undefined || point === undefined || (type !== "cgroup" && type !== "cgroup2"))
    return null;
  return { root: unescaped(root), point: unescaped(point), type, options: options ?? "" };
}

/** Spaces and the like are written as octal numbers there. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/**
 * The group relative to what is mounted. In a container without a namespace of its own for groups, the path is the
 * host's; when it does not lie below the mount's root, the mount itself is the nearest that can be seen.
 */
function belowRoot(path: string, root: string): string {
  if (root === "/") return path;
  return path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : "";
}

function upwards(point: string, relative: string): readonly string[] {
  const parts = relative.split("/").filter((part) => part !== "" && part !== "..");
  return Array.from({ length: parts.length + 1 }, (_none, index) =>
    [point.replace(/\/$/, ""), ...parts.slice(0, parts.length - index)].join("/"),
  );
}

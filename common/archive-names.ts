/** Which names an archive may hold. Pure. */
const PART_BYTES_MAX = 255;
/** Below what a system call takes (4,096 on Linux), with room for the directory above. */
const PATH_BYTES_MAX = 3_000;

/** Says what is wrong with the names of one archive; remembers them, as a name may come once only. */
export class NameCheck {
  readonly #depthMax: number;
  /** Whether each name stands for a file; directories that are only part of a name count too. */
  readonly #seen = new Map<string, "file" | "directory" | "parent">();

  constructor(depthMax: number) {
    this.#depthMax = depthMax;
  }

  /** The end of a sentence, or null when nothing is wrong. */
  problem(path: string, type: "file" | "directory"): string | null {
    if (/[\p{Cc}\\]/u.test(path)) return "the name holds a control character or a backslash";
    if (/[\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(path))
      return "the name turns the direction of writing";
    if (path.includes("\ufffd")) return "the name is not UTF-8";
    if (path.startsWith("/") || /^[a-z]:/i.test(path)) return "the name is absolute";
    const parts = path.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.includes("..")) return 'the name holds ".."';
    if (parts.length > this.#depthMax) return `deeper than ${this.#depthMax} directories`;
    if (parts.some((part) => Buffer.byteLength(part) > PART_BYTES_MAX))
      return `a name of more than ${PART_BYTES_MAX} bytes`;
    if (Buffer.byteLength(path) > PATH_BYTES_MAX)
      return `a path of more than ${PATH_BYTES_MAX} bytes`;
    return this.#clash(parts, type);
  }

  /** Names that differ in case or form only are one file on some file systems: the second would overwrite the first. */
  #clash(parts: readonly string[], type: "file" | "directory"): string | null {
    const key = (count: number): string =>
      parts.slice(0, count).join("/").normalize("NFC").toLowerCase();
    if (parts.length === 0) return type === "file" ? "the name is empty" : null;
    for (let count = 1; count < parts.length; count += 1) {
      const above = this.#seen.get(key(count));
      if (above === "file") return "a file of this name is a directory elsewhere in the archive";
      if (above === undefined) this.#seen.set(key(count), "parent");
    }
    const whole = key(parts.length);
    const known = this.#seen.get(whole);
    if (known === "parent" && type === "file")
      return "a file of this name is a directory elsewhere in the archive";
    if (known === "file" || known === "directory") return "the same name comes twice";
    this.#seen.set(whole, type);
    return null;
  }
}

/** Which archives are taken: plain files and directories, within bounds. Pure. */
import { NameCheck } from "./archive-names.ts";

export interface ArchiveBounds {
  readonly filesMax: number;
  /** Sum of the extracted sizes. */
  readonly bytesMax: number;
  readonly depthMax: number;
}

export interface ArchiveEntry {
  readonly path: string;
  readonly type: "file" | "directory";
  readonly sizeBytes: number;
}

/** What the reader says of an entry. */
interface EntryHeader {
  readonly type: string;
  readonly path: string;
  readonly size: number;
  readonly linkpath?: string | undefined;
  readonly globalExtended?: unknown;
}

/** Looks at the entries of one archive in their order. */
export class EntryCheck {
  readonly entries: ArchiveEntry[] = [];
  refusal: string | null = null;
  readonly #bounds: ArchiveBounds;
  readonly #names: NameCheck;
  #sumBytes = 0;

  constructor(bounds: ArchiveBounds) {
    this.#bounds = bounds;
    this.#names = new NameCheck(bounds.depthMax);
  }

  refuse(why: string): void {
    this.refusal ??= why;
  }

  /**
   * Text of an extended header, or of a long name. Sparse files are told there: their data is a map, and their size another
   * one. What readers understand differently is refused.
   */
  meta(text: string): void {
    if (/\0[^\0]/.test(text)) this.refuse("a name holds a zero byte");
    if (/^\d+ size=(?!\d{1,15}$)/m.test(text)) this.refuse("a size is no number");
    if (/GNU\.sparse|SCHILY\.realsize/.test(text)) this.refuse("it holds a sparse file");
  }

  entry(entry: EntryHeader): void {
    const problem = this.#problem(entry);
    if (problem !== null) this.refuse(problem);
  }

  #problem(entry: EntryHeader): string | null {
    const { filesMax, bytesMax } = this.#bounds;
    const name = JSON.stringify(entry.path.slice(0, 300));
    const type = entryType(entry.type);
    if (type === null) return `${name} is a ${entry.type}`;
    // It would change all entries that follow.
    if (entry.globalExtended !== undefined) return "it has a global extended header";
    if ((entry.linkpath ?? "") !== "") return `${name} is a link to something else`;
    if (!Number.isSafeInteger(entry.size) || entry.size < 0) return `${name} has no sensible size`;
    this.#sumBytes += entry.size;
    if (this.entries.length >= filesMax) return `more than ${filesMax} entries`;
    if (this.#sumBytes > bytesMax) return `more than ${bytesMax} bytes of files`;
    const problem = this.#names.problem(entry.path, type);
    if (problem !== null) return `${name}: ${problem}`;
    this.entries.push({ path: entry.path, type, sizeBytes: entry.size });
    return null;
  }
}

/** null for what is neither. */
export function entryType(type: string): ArchiveEntry["type"] | null {
  if (type === "File" || type === "OldFile") return "file";
  return type === "Directory" ? "directory" : null;
}

/** The RecordStore port: keys and values in order on a disk. The chain above it (chained-journal) trusts it with nothing. */
export interface RecordRange {
  /** Greatest key first. */
  readonly reverse?: boolean;
  readonly limit?: number;
  readonly gte?: string;
  readonly lte?: string;
}

/** Key (see recordKey) and bytes of one record. */
export type StoredRecord = readonly [key: string, value: Uint8Array];

export interface RecordStore {
  /**
   * Errors: E_JOURNAL_LOCKED (another process has it), E_JOURNAL_BROKEN (it cannot be read), E_JOURNAL_WRITE (no space, no
   * right to write).
   */
  open(options: { readonly createIfMissing: boolean }): Promise<void>;
  /** Resolves when the record is on disk. After an error nothing more may be written. */
  put(key: string, value: Uint8Array): Promise<void>;
  /** Resolves when all of them are on disk. */
  putMany(records: readonly StoredRecord[]): Promise<void>;
  /** As of the first step of the iteration. Errors: E_JOURNAL_BROKEN. */
  entries(range: RecordRange): AsyncIterable<StoredRecord>;
  close(): Promise<void>;
}

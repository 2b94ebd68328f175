/** The long-running programs that this command can start. They are handed in, so that no command imports them. */
export interface ServerOptions {
  /** Absolute. */
  readonly data: string;
  readonly host?: string;
  readonly port?: number;
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly behindProxy?: string[];
  readonly localQueue?: { readOnlyPaths?: string[] };
}

export interface HarvesterOptions {
  readonly server: string;
  readonly tokenFile: string;
  readonly directory: string;
  readonly name: string;
  readonly sites: readonly string[];
  readonly caFingerprint: string | null;
  readonly pilotCommand: readonly [string, ...string[]];
  readonly pilotPackage: string | null;
  readonly stopPilots: boolean;
}

export interface PilotOptions {
  readonly bootFile: string;
}

/** Each runs until the program has ended and resolves with its exit code. */
export interface Programs {
  server(options: ServerOptions): Promise<number>;
  harvester(options: HarvesterOptions): Promise<number>;
  pilot(options: PilotOptions): Promise<number>;
}

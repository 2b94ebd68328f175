import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { Journal } from "../../server/journal/journal.ts";
import { createLevelJournal } from "../../server/journal/level-journal.ts";
import { batchOf, readAll } from "../contract/suites/journal-suite.ts";
import { requireRoot, requireTool } from "../support/requires.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const RECORDS = 40;
const EVENTS_PER_RECORD = 25;
const EVENTS = RECORDS * EVENTS_PER_RECORD;

function levelJournal(directory: string): Journal {
  return createLevelJournal({ directory, clock: systemClock, onHeadFailed: () => undefined });
}

/** Starts as a server does: opens and reads all. Resolves with the last number; always closes. */
async function start(directory: string): Promise<number> {
  const journal = levelJournal(directory);
  try {
    await journal.open();
    return (await readAll(journal)).reduce((last, batch) => last + batch.events.length, 0);
  } finally {
    await journal.close();
  }
}

async function assertRefused(directory: string, what: string): Promise<void> {
  await assert.rejects(
    start(directory),
    (error: unknown) => {
      assert.ok(error instanceof HyperpilotError, `${what}: ${String(error)}`);
      assert.equal(error.code, "E_JOURNAL_BROKEN", what);
      assert.match(error.message, /broken at event \d+/);
      assert.notEqual(error.why ?? "", "", what);
      assert.match(error.remedy ?? "", /restore the last backup/);
      return true;
    },
    what,
  );
}

describe("journal: faults of the disk", function () {
  this.timeout(60_000);
  let root: TemporaryDirectory;
  /** A journal whose records are in the write-ahead log. */
  let inLog: string;
  /** The same, its records in a table. */
  let inTable: string;

  before(async () => {
    root = temporaryDirectory();
    inLog = join(root.path, "in-log");
    const journal = levelJournal(inLog);
    const { term } = await journal.open();
    for (let n = 0; n < RECORDS; n += 1) {
      await journal.append(batchOf(1 + n * EVENTS_PER_RECORD, EVENTS_PER_RECORD), term);
    }
    await journal.close();
    inTable = join(root.path, "in-table");
    cpSync(inLog, inTable, { recursive: true });
    // An open that finds a log writes it to a table.
    assert.equal(await start(inTable), EVENTS);
    assert.ok(files(inLog, ".log").length > 0 && files(inTable, ".ldb").length > 0);
  });
  after(() => root.remove());

  let copies = 0;
  function copyOf(directory: string): string {
    copies += 1;
    const copy = join(root.path, `copy-${copies}`);
    cpSync(directory, copy, { recursive: true });
    return copy;
  }

  it("starts on what is whole", async () => {
    assert.equal(await start(copyOf(inLog)), EVENTS);
    assert.equal(await start(copyOf(inTable)), EVENTS);
  });

  for (const [where, ending] of [
    ["the write-ahead log", ".log"],
    ["a table", ".ldb"],
  ] as const) {
    it(`refuses a byte flipped anywhere in a record in ${where}`, async () => {
      const original = ending === ".log" ? inLog : inTable;
      const [name = ""] = files(original, ending);
      // The end of a table holds its filter and padding, which no record needs: the data blocks are before it.
      const size = statSync(name).size * (ending === ".ldb" ? 0.8 : 1);
      for (let at = 20; at < size; at += Math.ceil(size / 40)) {
        const copy = copyOf(original);
        flip(join(copy, "db", name.slice(name.lastIndexOf("/") + 1)), Math.floor(at));
        await assertRefused(copy, `byte ${Math.floor(at)} of ${size} in ${name}`);
        rmSync(copy, { recursive: true });
      }
    });
  }

  it("refuses a deleted write-ahead log", async () => {
    const copy = copyOf(inLog);
    for (const file of files(copy, ".log")) rmSync(file);
    await assertRefused(copy, "no log");
  });

  it("refuses a log that was cut before the head", async () => {
    const copy = copyOf(inLog);
    const [log = ""] = files(copy, ".log");
    const bytes = readFileSync(log);
    writeFileSync(log, bytes.subarray(0, bytes.length - 100));
    await assertRefused(copy, "cut log");
  });

  it("refuses deleted tables", async () => {
    const copy = copyOf(inTable);
    for (const file of files(copy, ".ldb")) rmSync(file);
    await assertRefused(copy, "no tables");
  });

  for (const prefix of ["CURRENT", "MANIFEST"]) {
    it(`refuses a deleted ${prefix}, and leaves what is left of the records alone`, async () => {
      const copy = copyOf(inTable);
      for (const name of readdirSync(join(copy, "db"))) {
        if (name.startsWith(prefix)) rmSync(join(copy, "db", name));
      }
      const tables = files(copy, ".ldb");
      await assertRefused(copy, prefix);
      await assertRefused(copy, `${prefix}, the second time`);
      assert.deepEqual(files(copy, ".ldb"), tables);
    });
  }

  it("refuses an emptied database beside its head, each time", async () => {
    const copy = copyOf(inLog);
    rmSync(join(copy, "db"), { recursive: true });
    await assertRefused(copy, "no db");
    await assertRefused(copy, "no db, the second time");
    mkdirSync(join(copy, "db"), { recursive: true });
    await assertRefused(copy, "empty db");
  });

  it("refuses records without a head, and a damaged or a foreign head", async () => {
    const copy = copyOf(inLog);
    const head = readFileSync(join(copy, "head"), "utf8");
    rmSync(join(copy, "head"));
    await assertRefused(copy, "no head");
    for (const text of ["", "{}", head.slice(0, -10), head.replace(/"hash":"../, '"hash":"zz')]) {
      writeFileSync(join(copy, "head"), text);
      await assertRefused(copy, `head ${text}`);
    }
    writeFileSync(join(copy, "head"), head);
    assert.equal(await start(copy), EVENTS);
  });

  it("says at which event records are missing", async () => {
    const copy = copyOf(inLog);
    const other = copyOf(inLog);
    const journal = levelJournal(other);
    const { term } = await journal.open();
    await journal.append(batchOf(EVENTS + 1, 1), term);
    await journal.close();
    cpSync(join(other, "head"), join(copy, "head"));
    await assert.rejects(start(copy), {
      code: "E_JOURNAL_BROKEN",
      message: `The journal is broken at event ${EVENTS + 1}.`,
    });
  });
});

describe("journal: kill -9 of its writer", function () {
  this.timeout(60_000);
  let root: TemporaryDirectory;
  let child: ChildProcess | null = null;
  beforeEach(() => {
    root = temporaryDirectory();
  });
  afterEach(async () => {
    if (child?.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await root.remove();
  });

  it("has every acknowledged batch after each of three kills", async () => {
    for (let round = 0; round < 3; round += 1) {
      const writer = spawn(
        process.execPath,
        ["--import", "tsx", "test/support/journal-writer.ts", root.path],
        { stdio: ["ignore", "pipe", "inherit"] },
      );
      child = writer;
      const closed = once(writer, "close");
      let printed = "";
      writer.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
      const lines = () => printed.split("\n").length - 1;
      await waitUntil("200 batches are acknowledged", () => lines() >= 200, {
        timeoutMs: 30_000,
        state: lines,
      });
      writer.kill("SIGKILL");
      await closed;
      const acknowledged = Number(printed.trimEnd().split("\n").at(-1));
      const found = await start(root.path);
      assert.ok(found >= acknowledged, `${acknowledged} were acknowledged, ${found} are there`);
    }
  });
});

describe("journal: a full disk", function () {
  this.timeout(60_000);
  let root: TemporaryDirectory;
  let disk: string;
  before(function () {
    requireRoot(this);
    requireTool(this, "mount");
  });
  beforeEach(function () {
    root = temporaryDirectory();
    disk = join(root.path, "disk");
    mkdirSync(disk);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], { stdio: "pipe" });
    } catch {
      console.log("        skipped: this root may not mount");
      this.skip();
    }
  });
  afterEach(async () => {
    try {
      execFileSync("umount", [disk], { stdio: "pipe" });
    } catch {
      // It was not mounted.
    }
    await root.remove();
  });

  /** Takes all space but `leftBytes`. */
  function fill(leftBytes: number): void {
    const { bavail, bsize } = statfsSync(disk);
    writeFileSync(join(disk, "ballast"), Buffer.alloc(bavail * bsize - leftBytes));
  }

  it("ends the journal at the first failure, and nothing acknowledged is lost", async () => {
    const directory = join(disk, "journal");
    const journal = levelJournal(directory);
    const { term } = await journal.open();
    fill(600_000);
    let acknowledged = 0;
    const failure: unknown = await (async () => {
      for (;;)
        await journal
          .append(batchOf(acknowledged + 1, 100), term)
          .then(() => (acknowledged += 100));
    })().catch((error: unknown) => error);
    assert.ok(failure instanceof HyperpilotError);
    assert.equal(failure.code, "E_JOURNAL_WRITE");
    assert.match(failure.why ?? "", /No space left/);
    assert.match(failure.remedy ?? "", /Free space/);
    assert.ok(acknowledged > 0);

    // LevelDB would acknowledge again from here on, and lose what it acknowledged.
    rmSync(join(disk, "ballast"));
    for (let n = 0; n < 3; n += 1) {
      await assert.rejects(journal.append(batchOf(acknowledged + 1, 1), term), failure);
    }
    await journal.close();
    const found = await start(directory);
    assert.ok(found >= acknowledged, `${acknowledged} were acknowledged, ${found} are there`);
  });

  it("is not called broken at a start on a full disk, and starts when there is space", async () => {
    const directory = join(disk, "journal");
    const journal = levelJournal(directory);
    const { term } = await journal.open();
    for (let n = 0; n < 20; n += 1) await journal.append(batchOf(1 + n * 100, 100), term);
    await journal.close();
    fill(0);
    await assert.rejects(start(directory), (error: unknown) => {
      assert.ok(error instanceof HyperpilotError, String(error));
      assert.equal(error.code, "E_JOURNAL_WRITE");
      assert.match(error.remedy ?? "", /Free space/);
      return true;
    });
    rmSync(join(disk, "ballast"));
    assert.equal(await start(directory), 2_000);
  });
});

function files(directory: string, ending: string): string[] {
  const names = readdirSync(join(directory, "db")).filter((name) => name.endsWith(ending));
  return names
    .map((name) => join(directory, "db", name))
    .filter((name) => statSync(name).size > 0)
    .sort();
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 0x01;
  writeFileSync(file, bytes);
}

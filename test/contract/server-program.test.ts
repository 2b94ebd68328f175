import assert from "node:assert/strict";
import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import { silentLogger } from "../../common/log.ts";
import { HyperpilotError, type ErrorCode } from "../../protocol/errors.ts";
import { API_ROOT } from "../../protocol/rest.ts";
import { AccessFile } from "../../server/access-files.ts";
import {
  createAddressCheck,
  readServerConfig,
  type ServerOptionsInput,
} from "../../server/config.ts";
import { startServer, type RunningServer } from "../../server/program.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";

function refusedWith(code: ErrorCode, remedy: RegExp) {
  return (error: unknown): boolean =>
    error instanceof HyperpilotError && error.code === code && remedy.test(error.remedy ?? "");
}

describe("the server as a program", () => {
  let directory: TemporaryDirectory;
  let data: string;
  let running: RunningServer | null = null;

  beforeEach(() => {
    directory = temporaryDirectory();
    data = join(directory.path, "data");
  });
  afterEach(async () => {
    await running?.close();
    running = null;
    await directory.remove();
  });

  async function start(options: Partial<ServerOptionsInput> = {}): Promise<RunningServer> {
    const machine = { cores: 2, memoryBytes: 16e9 };
    const onFatal = (error: Error): void => {
      throw error;
    };
    const ports = { clock: systemClock, log: silentLogger, machine, user: "anna", onFatal };
    running = await startServer(readServerConfig({ data, port: 0, ...options }), ports);
    return running;
  }

  const access = async () =>
    AccessFile.parse(JSON.parse(await readFile(join(data, "access.json"), "utf8")));

  async function queue(): Promise<{ slot: unknown; readOnlyPaths: string[] }> {
    const { server, token } = await access();
    const response = await fetch(`${server}${API_ROOT}/queues`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const { items } = (await response.json()) as {
      items: { config: { slot: unknown; readOnlyPaths: string[] } }[];
    };
    return items[0]!.config;
  }

  it("makes private files at its first start and keeps its tokens at the next, at whatever port", async () => {
    const first = await start({ localQueue: { readOnlyPaths: ["/opt/a"] } });
    for (const name of ["access.json", "harvester-token", "session-key"])
      assert.equal((await stat(join(data, name))).mode & 0o777, 0o600, name);
    const before = await access();
    assert.deepEqual([before.server, before.caFingerprint], [first.address, null]);
    const harvesterToken = await readFile(join(data, "harvester-token"), "utf8");
    assert.deepEqual((await queue()).readOnlyPaths, ["/opt/a"]);
    await first.close();
    const second = await start({ localQueue: { readOnlyPaths: ["/opt/b"] } });
    const after = await access();
    assert.deepEqual(after, { ...before, server: second.address });
    assert.equal(await readFile(join(data, "harvester-token"), "utf8"), harvesterToken);
    assert.deepEqual((await queue()).readOnlyPaths, ["/opt/b"]);
  });

  it("makes a new local token when the old one is lost", async () => {
    await (await start()).close();
    const { token } = await access();
    await writeFile(join(data, "access.json"), "{}");
    await assert.rejects(start(), refusedWith("E_CONFIG", /Remove it/));
    await directory.remove();
    await start();
    assert.notEqual((await access()).token, token);
  });

  it("refuses a data directory, or a key, that others can read", async () => {
    await (await start()).close();
    await chmod(data, 0o750);
    await assert.rejects(start(), refusedWith("E_CONFIG", /chmod 700/));
    await chmod(data, 0o700);
    await chmod(join(data, "session-key"), 0o644);
    await assert.rejects(start(), refusedWith("E_CONFIG", /chmod 600/));
  });

  it("refuses a data directory or a port that another server has", async () => {
    const first = await start();
    await assert.rejects(
      start(),
      (error) => error instanceof HyperpilotError && error.code === "E_JOURNAL_LOCKED",
    );
    const port = Number(new URL(first.address).port);
    await assert.rejects(
      start({ data: join(directory.path, "other"), port }),
      refusedWith("E_CONFIG", /--port 0/),
    );
    running = first;
  });

  it("does not listen beyond this machine without certificate or proxy", () => {
    const refused = refusedWith("E_CONFIG", /--certificate/);
    for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.org"])
      assert.throws(() => readServerConfig({ data, host }), refused);
    for (const host of ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
      assert.equal(readServerConfig({ data, host }).tls, null);
    assert.equal(readServerConfig({ data, host: "0.0.0.0", behindProxy: ["192.0.2.7"] }).tls, null);
    assert.throws(
      () => readServerConfig({ data, behindProxy: ["everybody"] }),
      refusedWith("E_CONFIG", /help/),
    );
    assert.throws(
      () => readServerConfig({ data, certificateFile: "/a" }),
      refusedWith("E_CONFIG", /both/),
    );
  });

  it("hears, behind a proxy, only that proxy and this machine", () => {
    const mayConnect = createAddressCheck(["192.0.2.7", "2001:db8::/32"]);
    for (const address of ["192.0.2.7", "::ffff:192.0.2.7", "127.0.0.1", "::1", "2001:db8::5"])
      assert.ok(mayConnect(address), address);
    for (const address of ["192.0.2.8", "::ffff:192.0.2.8", "2001:db9::5", "", undefined])
      assert.ok(!mayConnect(address), address);
  });
});

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "../../protocol/errors.ts";
import { type CliResult, runCli } from "../support/run-cli.ts";
import { type SmallServer, startSmallServer } from "../support/small-server.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { openRegistrySecrets } from "../../server/secrets/registry-secrets.ts";
import { systemClock } from "../../common/clock.ts";

describe("hyperpilot secret", () => {
  let directory: TemporaryDirectory;
  let server: SmallServer;
  let environment: Record<string, string>;

  beforeEach(async () => {
    directory = temporaryDirectory();
    server = await startSmallServer();
    const tokenFile = file("token", `${await server.token(["user"], "anna")}\n`);
    environment = {
      HYPERPILOT_SERVER: server.origin,
      HYPERPILOT_TOKEN_FILE: tokenFile,
      HYPERPILOT_DATA: directory.path,
    };
  });
  afterEach(async () => {
    await server.close();
    await directory.remove();
  });

  function file(name: string, content: string): string {
    const path = join(directory.path, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  function secret(args: readonly string[], input = ""): Promise<CliResult> {
    return runCli(["secret", ...args], { environment, cwd: directory.path, input });
  }

  async function kept(registry: string) {
    const secrets = await openRegistrySecrets(server.secretsDirectory, systemClock);
    return secrets.get("anna", registry);
  }

  it("takes a credential in every form that people have it in, and shows none of it", async () => {
    const auth = Buffer.from("anna:canary:c").toString("base64");
    const config = {
      auths: { "https://index.docker.io/v1/": { auth }, "other.org": { auth: "x" } },
    };
    file("line", "anna:canary:a\n");
    file("config.json", JSON.stringify(config));
    const results = [
      await secret(["set", "a.example.org:5000", "--file", "line"]),
      await secret(["set", "b.example.org", "--username", "anna"], "canary:b\n"),
      await secret(["set", "docker.io", "--file", "config.json"]),
      await secret(["list"]),
      await secret(["--json"]),
    ];
    for (const { exitCode, stdout, stderr } of results) {
      assert.equal(exitCode, 0, stderr);
      assert.equal(`${stdout}${stderr}`.includes("canary"), false, stdout);
    }
    const expected = { "a.example.org:5000": "a", "b.example.org": "b", "docker.io": "c" };
    for (const [registry, letter] of Object.entries(expected)) {
      const credential = { username: "anna", password: `canary:${letter}` };
      assert.deepEqual(await kept(registry), credential);
      assert.match(results[3]!.stdout, new RegExp(registry));
    }
    assert.equal((await secret(["rm", "docker.io"])).exitCode, 0);
    assert.equal(await kept("docker.io"), null);
    assert.equal((await secret(["rm", "docker.io"])).exitCode, EXIT.notFound);
  });

  it("refuses what is no credential, and a value as an argument, without repeating it", async () => {
    file("bad.json", '{"auths": {"x": canary');
    file("two-lines", "anna:canary\ncanary");
    const tries = [
      await secret(["set", "a.example.org", "--file", "missing"]),
      await secret(["set", "a.example.org", "--file", "bad.json"]),
      await secret(["set", "a.example.org", "--file", "two-lines"]),
      await secret(["set", "a.example.org"], ""),
      await secret(["set", "a.example.org"], "canary"),
      await secret(["set", "no_host", "--file", "two-lines"]),
      await secret(["set", "a.example.org", "--password", "canary"]),
      await secret(["set", "a.example.org", "anna:canary"]),
    ];
    for (const { exitCode, stderr, stdout } of tries) {
      assert.equal(exitCode, EXIT.usage, stderr);
      assert.equal(`${stderr}${stdout}`.includes("canary"), false, stderr);
    }
    assert.match(tries[0]!.stderr, /missing gives no credential for a\.example\.org/);
    assert.equal(await kept("a.example.org"), null);
  });
});

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { runProgram } from "../../common/child.ts";
import { requireImages, testbed } from "../support/testbed.ts";

const TESTS = resolve(import.meta.dirname, "../steering");
const SOURCES = resolve(import.meta.dirname, "../../steering");
const PACKAGES = "/opt/hyperpilot-steering/packages";

/** The program's own tests, in Python, with the libraries of the image that searches use. */
describe("steering program", function () {
  this.timeout(300_000);

  before(function () {
    requireImages(this);
  });

  for (const file of readdirSync(TESTS).filter((name) => /^test_\w+\.py$/.test(name)))
    it(`passes ${file}`, async () => {
      const result = await runProgram(
        [
          testbed.apptainer,
          "--quiet",
          "exec",
          "--no-privs",
          "--containall",
          "--cleanenv",
          "--bind",
          `${join(TESTS)}:/tests/test/steering:ro`,
          "--bind",
          `${SOURCES}:/tests/steering:ro`,
          ...[
            "--env",
            `PYTHONPATH=/tests/steering:${PACKAGES},PYTHONDONTWRITEBYTECODE=1,OMP_NUM_THREADS=1`,
          ],
          testbed.steeringImage,
          ...["python3", "-W", "ignore", `/tests/test/steering/${file}`, "--verbose"],
        ],
        { timeoutMs: 290_000 },
      );
      assert.equal(result.exitCode, 0, `${result.stdout}\n${result.stderr}`);
      const count = Number(/^Ran (\d+) tests?/m.exec(result.stderr)?.[1] ?? 0);
      assert.ok(count >= 5, result.stderr);
    });
});

/** Mocha reporter: readable lines on the console, and what came of each test into the file `output` for run-tests.ts. */
import { writeFileSync } from "node:fs";
import Mocha from "mocha";
import type { SuiteResult } from "./run-tests.ts";

/** A process that still has something to do so long after its last test did not clean up: a failure. */
const LEFT_BEHIND_MS = 15_000;

export default class TestReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const result = { passed: [], failed: [], skipped: [] } satisfies SuiteResult as {
      [K in keyof SuiteResult]: string[];
    };
    runner.on("pass", (test) => void result.passed.push(test.fullTitle()));
    runner.on("fail", (test) => void result.failed.push(test.fullTitle()));
    runner.on("pending", (test) => void result.skipped.push(test.fullTitle()));
    const { output } = options.reporterOptions as { readonly output: string };
    runner.once("end", () => {
      writeFileSync(output, JSON.stringify(result));
      setTimeout(() => {
        console.error(`tests left behind: ${process.getActiveResourcesInfo().join(", ")}`);
        process.exit(1);
      }, LEFT_BEHIND_MS).unref();
    });
  }
}

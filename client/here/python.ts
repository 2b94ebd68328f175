/** The Python of the person at this machine: the one of the active environment, whose packages evaluations should see. */
import { z } from "zod";
import { runProgram } from "../../common/child.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { isHiddenFromPayloads } from "./readable-paths.ts";

/** Tells where it lives, and what is wrong with the script named in its first argument, if anything. */
const PROBE = `
import json, os, site, sys
problem = None
if len(sys.argv) > 1:
    try:
        with open(sys.argv[1], "rb") as file:
            compile(file.read(), sys.argv[1], "exec", dont_inherit=True)
    except SyntaxError as error:
        problem = {"line": error.lineno or 0, "text": (error.text or "").rstrip(), "message": str(error.msg)}
    except ValueError as error:
        problem = {"line": 0, "text": "", "message": str(error)}
user = site.ENABLE_USER_SITE and os.path.isdir(site.getusersitepackages())
print(json.dumps({
    "executable": sys.executable,
    "prefixes": [sys.prefix, sys.exec_prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)],
    "userBase": site.getuserbase() if user else None,
    "userSite": site.getusersitepackages() if user else None,
    "problem": problem,
}))
`;
const PROBE_MS_MAX = 20_000;

const Probed = z.object({
  executable: z.string().startsWith("/"),
  prefixes: z.array(z.string().startsWith("/")),
  userBase: z.string().nullable(),
  userSite: z.string().nullable(),
  problem: z.object({ line: z.number(), text: z.string(), message: z.string() }).nullable(),
});

export interface Python {
  /** Absolute path of the interpreter. */
  readonly executable: string;
  /** What evaluations must be able to read for it and its packages, beyond what they see anyway. */
  readonly readOnlyPaths: readonly string[];
  /** Value of PYTHONUSERBASE with which it finds the packages of `pip install --user`; null where there are none. */
  readonly userBase: string | null;
}

/**
 * Asks the interpreter `program` (a name, found in PATH, or a path) about itself and, where there is a script, for its
 * syntax. Errors: E_FILE.
 */
export async function askPython(program: string, script: string | null): Promise<Python> {
  const argv = [program, "-c", PROBE, ...(script === null ? [] : [script])] as const;
  const result = await runProgram([...argv], { timeoutMs: PROBE_MS_MAX });
  if (result.missing) {
    throw new HyperpilotError({
      code: "E_FILE",
      message: `There is no ${program} in your PATH.`,
      remedy: "Install Python, or activate the environment that has it, then try again.",
    });
  }
  const probed = Probed.safeParse(lastJson(result.stdout));
  if (result.exitCode !== 0 || !probed.success) {
    throw new HyperpilotError({
      code: "E_FILE",
      message: `${program} does not work as a Python interpreter.`,
      why: result.timedOut
        ? `It did not answer within ${PROBE_MS_MAX / 1_000} s.`
        : lastLine(result.stderr) || `It ended with exit code ${String(result.exitCode)}.`,
      remedy: `Try it yourself: ${program} -c "import sys; print(sys.prefix)"`,
    });
  }
  const { executable, prefixes, userBase, userSite, problem } = probed.data;
  if (problem !== null && script !== null) throw wrongSyntax(script, problem);
  return {
    executable,
    readOnlyPaths: [...prefixes, ...(userSite === null ? [] : [userSite])].filter((path) =>
      isHiddenFromPayloads(path),
    ),
    userBase,
  };
}

function wrongSyntax(
  script: string,
  problem: { readonly line: number; readonly text: string; readonly message: string },
): HyperpilotError {
  return new HyperpilotError({
    code: "E_FILE",
    message: `${script}${problem.line > 0 ? `:${problem.line}` : ""} Python does not understand this: ${problem.message}`,
    ...(problem.text === "" ? {} : { why: problem.text.trim() }),
    remedy: "Correct it and try again; nothing was run.",
  });
}

/** What stands before is of the interpreter's start, such as a sitecustomize that prints. */
function lastJson(text: string): unknown {
  try {
    return JSON.parse(lastLine(text));
  } catch {
    // The caller says that there was no answer.
    return null;
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}

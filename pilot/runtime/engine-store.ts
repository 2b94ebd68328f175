/** Images of registries in an engine's own store; an entry of the node's cache notes which one it is. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { PILOT } from "../../protocol/limits.ts";
import { authFileText } from "../images/auth-file.ts";
import { pullFailure } from "../images/image-errors.ts";
import type { EngineProgram } from "./engine-program.ts";
import { wordsOf } from "./program-words.ts";
import type { ImageStore } from "./runtime.ts";

const Entry = z.object({ image: z.string().regex(/^(?:sha256:)?[0-9a-f]{64}$/) });

/** `program` is asked for at each use: the self-test chooses its options. */
export function createEngineStore(kind: string, program: () => EngineProgram): ImageStore {
  return {
    kind,
    pull: async (request) => {
      const engine = program();
      const { reference, scratch, credential, isPlainHttp, signal } = request;
      const auth = engine.dialect.authentication(scratch);
      if (credential !== null)
        writeFileSync(auth.file, authFileText(reference, credential), { mode: 0o600 });
      const withAuth = credential === null ? null : auth;
      const options = engine.dialect.pullOptions(isPlainHttp);
      const result = await engine.run(["pull", "--quiet", ...options, reference], {
        timeoutMs: PILOT.imagePullTimeoutMs,
        environment: { ...request.environment, TMPDIR: scratch, ...withAuth?.environment },
        globalOptions: withAuth?.globalOptions ?? [],
        signal,
      });
      signal.throwIfAborted();
      if (result.exitCode !== 0) throw pullFailure(kind, reference, wordsOf(result));
      const format = ["--format", "{{.Id}}"];
      const image = await engine.runOrThrow(["image", "inspect", ...format, reference]);
      writeFileSync(request.entry, JSON.stringify({ image: image.trim() }), { mode: 0o600 });
    },
    open: async (entry) => {
      const noted = Entry.safeParse(JSON.parse(readFileSync(entry, "utf8")));
      if (!noted.success) return null;
      const { image } = noted.data;
      const format = ["--format", "{{.Size}}"];
      const { exitCode, stdout } = await program().run(["image", "inspect", ...format, image]);
      return exitCode === 0 ? { image, sizeBytes: Number(stdout.trim()) } : null;
    },
    findLocal: async (name) => {
      const format = ["--format", "{{.Id}}"];
      const { exitCode, stdout } = await program().run(["image", "inspect", ...format, name]);
      return exitCode === 0 ? stdout.trim() : null;
    },
    remove: async (entry) => {
      const noted = Entry.safeParse(JSON.parse(readFileSync(entry, "utf8")));
      if (noted.success) {
        // Refused while a container uses it.
        const { exitCode, stderr } = await program().run(["image", "rm", noted.data.image]);
        if (exitCode !== 0 && !/no such image|image not known/i.test(stderr)) return false;
      }
      rmSync(entry, { force: true });
      return true;
    },
  };
}

/** Routes about the server itself and its tokens. */
import { Readable } from "node:stream";
import { drawToken } from "../auth/tokens.ts";
import { statusView, tokenViews } from "../views/admin.ts";
import type { Handlers } from "./call.ts";
import type { RestDeps } from "./context.ts";
import { openApiDocument } from "./openapi.ts";

type AdminRoutes =
  "health" | "openapi" | "status" | "backup" | "listTokens" | "issueToken" | "revokeToken";

export function adminHandlers(deps: RestDeps): Pick<Handlers, AdminRoutes> {
  const { engine, sessions } = deps;
  // Made when it is asked for: it takes a tenth of a start.
  let document: ReturnType<typeof openApiDocument> | null = null;
  return {
    // A read waits for what it saw to be durable, so that an answer says that the journal takes writes.
    health: () => engine.read(() => ({ ok: true })),
    openapi: () => Promise.resolve((document ??= openApiDocument())),
    status: async () => {
      const gauges = await deps.gauges();
      return engine.read((core, live) =>
        statusView(core, live, { ...gauges, ...engine.statistics(), sessions: sessions.count }),
      );
    },
    backup: async ({ caller, reply }) => {
      // What the records hold by then was durable when this was asked.
      const seq = await engine.read((core) => core.seq);
      deps.log.info("backup", { by: caller.principal.user, seq });
      reply.type("application/octet-stream");
      return Readable.from(deps.backup(seq), { objectMode: false });
    },
    listTokens: async () => ({ items: await engine.read(tokenViews), nextCursor: null }),
    issueToken: async ({ caller, body: { name, user, roles } }) => {
      const { id, secret, sha256 } = drawToken();
      const role = { user, roles };
      const command = { type: "issueToken", id, sha256, role, name } as const;
      await engine.execute<"issueToken">(caller.principal, command);
      return { id, token: secret };
    },
    revokeToken: async ({ caller, params: { id } }) => {
      await engine.execute<"revokeToken">(caller.principal, { type: "revokeToken", id });
      sessions.closeOfToken(id);
      return null;
    },
  };
}

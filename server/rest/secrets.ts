/** Routes of users' secrets; values come in and go to pilots with a lease, and are in no answer to a user. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { leaseOf } from "../auth/access.ts";
import { taskOfLease } from "../auth/lease-tokens.ts";
import type { Handlers } from "./call.ts";
import type { RestDeps } from "./context.ts";

type SecretRoutes = "listSecrets" | "putSecret" | "removeSecret" | "registryCredential";

export function secretHandlers(deps: RestDeps): Pick<Handlers, SecretRoutes> {
  const { engine, secrets, log } = deps;
  return {
    listSecrets: async ({ caller }) => ({
      items: await secrets.list(caller.principal.user),
      nextCursor: null,
    }),
    putSecret: async ({ caller, params: { registry }, body }) => {
      const { user } = caller.principal;
      const view = await secrets.set(user, registry, body);
      log.info("audit", { what: "secretSet", user, registry });
      return view;
    },
    removeSecret: async ({ caller, params: { registry } }) => {
      const { user } = caller.principal;
      if (!(await secrets.remove(user, registry))) throw noSecret(registry);
      log.info("audit", { what: "secretRemoved", user, registry });
      return null;
    },
    registryCredential: async ({ caller, query: { registry } }) => {
      const { item, epoch } = leaseOf(caller);
      const owner = await engine.read((core) => taskOfLease(core, item, epoch).owner);
      return { credential: await secrets.get(owner, registry) };
    },
  };
}

function noSecret(registry: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `You keep no credential for registry ${registry}.`,
    remedy: "hyperpilot secret list",
  });
}

/** Who may do what: one table, one function. Pure. */
import { HyperpilotError } from "../../protocol/errors.ts";
import type { Epoch, Item } from "../../protocol/ids.ts";
import type { Route } from "../../protocol/routes.ts";
import type { Role } from "../events.ts";
import type { Principal } from "../inbox.ts";

export type Need = Route["access"];
type RoleName = Role["roles"][number];

/** Who calls, as its credential proves. */
export type Caller =
  | { readonly type: "nobody" }
  | { readonly type: "user"; readonly principal: Principal; readonly tokenId: string }
  | { readonly type: "lease"; readonly item: Item; readonly epoch: Epoch }
  /** Holds something that has the form of a boot secret; the exchange itself checks it. */
  | { readonly type: "boot"; readonly secret: string };
export type UserCaller = Extract<Caller, { type: "user" }>;

/** The caller of a route that the table opens to leases only. */
export function leaseOf(caller: Caller): Extract<Caller, { type: "lease" }> {
  if (caller.type === "lease") return caller;
  throw new Error("a route of leases was opened without a lease");
}

/** The table. `roles`: any of them is enough. Pilots' credentials open their own routes and no others. */
const ACCESS: Readonly<
  Record<Need, { readonly caller: Caller["type"] | "any"; readonly roles: readonly RoleName[] }>
> = {
  public: { caller: "any", roles: [] },
  user: { caller: "user", roles: ["user", "operator", "admin"] },
  operator: { caller: "user", roles: ["operator", "admin"] },
  admin: { caller: "user", roles: ["admin"] },
  harvester: { caller: "user", roles: ["harvester"] },
  boot: { caller: "boot", roles: [] },
  lease: { caller: "lease", roles: [] },
};

/** Passes when the caller may use something that needs `need`. Errors: E_UNAUTHENTICATED, E_FORBIDDEN. */
export function authorize(caller: Caller, need: Need): void {
  const rule = ACCESS[need];
  if (rule.caller === "any") return;
  if (caller.type !== rule.caller) throw unauthenticated(need);
  if (caller.type !== "user" || hasRole(caller.principal, rule.roles)) return;
  throw new HyperpilotError({
    code: "E_FORBIDDEN",
    message: `This needs the role ${rule.roles.join(" or ")}.`,
    why: `The token of ${caller.principal.user} has ${caller.principal.roles.join(", ")}.`,
    remedy: "Ask an administrator for a token: hyperpilot admin tokens issue",
  });
}

/** Whether the principal may see and change what `owner` owns: the owner and administrators. */
export function mayTouch(principal: Principal, owner: string): boolean {
  return principal.user === owner || principal.roles.includes("admin");
}

/** Whether the principal may learn that `owner` runs something: ids and names, no content. */
export function mayName(principal: Principal, owner: string): boolean {
  return mayTouch(principal, owner) || principal.roles.includes("operator");
}

function hasRole(principal: Principal, roles: readonly RoleName[]): boolean {
  return principal.roles.some((role) => roles.includes(role));
}

function unauthenticated(need: Need): HyperpilotError {
  const what: Readonly<Record<Need, string>> = {
    public: "no token",
    user: "a user's token",
    operator: "an operator's token",
    admin: "an administrator's token",
    harvester: "a harvester's token",
    boot: "the boot secret of a submission",
    lease: "the token of a lease",
  };
  return new HyperpilotError({
    code: "E_UNAUTHENTICATED",
    message: `This needs ${what[need]}.`,
    why: "The Authorization header has none, or one that is unknown, revoked or expired.",
    remedy: "Check HYPERPILOT_TOKEN_FILE or the access file; an administrator issues new tokens.",
  });
}

import assert from "node:assert/strict";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { authorize, mayTouch, type Caller, type Need } from "../../../server/auth/access.ts";
import type { Role } from "../../../server/events.ts";

function user(...roles: Role["roles"]): Caller {
  return { type: "user", tokenId: "t", principal: { user: "anna", roles } };
}

const CALLERS: Readonly<Record<string, Caller>> = {
  nobody: { type: "nobody" },
  user: user("user"),
  operator: user("operator"),
  admin: user("admin"),
  harvester: user("harvester"),
  powerless: user(),
  boot: { type: "boot", secret: "s" },
  lease: {
    type: "lease",
    item: { type: "evaluation", taskId: 1, pointId: "0" },
    epoch: [1, 1],
  },
};

/** Who passes; everybody else must not. */
const MAY: Readonly<Record<Need, readonly string[]>> = {
  public: Object.keys(CALLERS),
  user: ["user", "operator", "admin"],
  operator: ["operator", "admin"],
  admin: ["admin"],
  harvester: ["harvester"],
  boot: ["boot"],
  lease: ["lease"],
};

describe("access", () => {
  for (const [need, may] of Object.entries(MAY) as [Need, readonly string[]][]) {
    it(`what needs '${need}' is open to ${may.join(", ")} and to nobody else`, () => {
      for (const [name, caller] of Object.entries(CALLERS)) {
        if (may.includes(name)) authorize(caller, need);
        else {
          const expected =
            ["nobody", "boot", "lease"].includes(name) || need === "boot" || need === "lease"
              ? "E_UNAUTHENTICATED"
              : "E_FORBIDDEN";
          assert.throws(
            () => authorize(caller, need),
            (error) => error instanceof HyperpilotError && error.code === expected,
            `${name} at ${need}`,
          );
        }
      }
    });
  }

  it("what is owned is open to its owner and to administrators", () => {
    assert.ok(mayTouch({ user: "anna", roles: ["user"] }, "anna"));
    assert.ok(mayTouch({ user: "root", roles: ["admin"] }, "anna"));
    assert.ok(!mayTouch({ user: "bert", roles: ["user", "operator"] }, "anna"));
  });
});

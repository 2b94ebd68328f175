import { EXIT } from "../../../protocol/errors.ts";
import { IssueTokenRequest, type TokenView } from "../../../protocol/rest.ts";
import type { Run } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { formatAgo, neutralise } from "../../format.ts";
import { textOption, textsOption } from "../../option-values.ts";
import { writeTable, type Column } from "../../table.ts";

export const runList: Run = async ({ context }) => {
  const { output } = context;
  const nowMs = context.clock.wallMs();
  const columns: readonly Column<TokenView>[] = [
    { title: "ID", text: (token) => token.id },
    { title: "NAME", shrinks: true, text: (token) => token.name },
    { title: "USER", shrinks: true, text: (token) => token.user },
    { title: "ROLES", text: (token) => token.roles.join(",") },
    {
      title: "STATE",
      tone: (token) => (token.revoked ? "faint" : "good"),
      text: (token) => (token.revoked ? "✗ revoked" : "✓ valid"),
      plain: (token) => (token.revoked ? "revoked" : "valid"),
    },
    {
      title: "ISSUED",
      text: (token) => formatAgo(token.createdAt, nowMs),
      plain: (token) => token.createdAt,
    },
  ];
  const { items } = await (await context.api()).call("listTokens", {});
  if (output.json) output.items("TokenList", items);
  else writeTable(output, columns, items, "No tokens.");
  return EXIT.success;
};

/** The token goes to stdout, alone, so that it can be sent into a file of mode 0600; it is never shown again. */
export const runIssue: Run = async ({ args, options, context }) => {
  const { output } = context;
  const name = args[0] ?? "";
  const roles = textsOption(options, "role");
  const request = IssueTokenRequest.safeParse({
    name,
    user: textOption(options, "user") ?? name,
    roles: roles.length === 0 ? ["user"] : roles,
  });
  if (!request.success) {
    const issue = request.error.issues[0];
    throw usageError(
      `The token's ${issue?.path.map(String).join(".") ?? ""} is wrong: ${issue?.message ?? ""}.`,
      "See: hyperpilot admin tokens issue --help",
    );
  }
  const answer = await (await context.api()).call("issueToken", { body: request.data });
  if (output.json) output.item("Token", answer);
  else output.data(answer.token);
  output.talk(
    `✓ Token ${neutralise(answer.id)} issued; it is shown this once only. Keep it in a file of mode 0600.`,
  );
  const isHarvester = request.data.roles.includes("harvester");
  output.talk(
    isHarvester
      ? "Next  hyperpilot harvester --server URL --tokenFile FILE --directory DIR --site SITE"
      : "Next  HYPERPILOT_TOKEN_FILE=FILE hyperpilot task list",
  );
  return EXIT.success;
};

export const runRevoke: Run = async ({ args, context }) => {
  const { output } = context;
  const id = args[0] ?? "";
  await (await context.api()).call("revokeToken", { params: { id } });
  if (output.json) output.item("Token", { id, revoked: true });
  else output.data(`Token ${neutralise(id)} revoked.`);
  output.talk("Next  hyperpilot admin tokens");
  return EXIT.success;
};

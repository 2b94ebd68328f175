import { EXIT } from "../../../protocol/errors.ts";
import { RegistryName } from "../../../protocol/image-reference.ts";
import type { SecretView } from "../../../protocol/rest.ts";
import type { Run } from "../../command.ts";
import { readCredential } from "../../credential-file.ts";
import { usageError } from "../../errors.ts";
import { formatAgo, neutralise } from "../../format.ts";
import { textOption } from "../../option-values.ts";
import { writeTable, type Column } from "../../table.ts";

/** `secret set`: the value is neither an argument, which every user of the machine can read, nor shown. */
export const runSet: Run = async ({ args, options, context }) => {
  const { output } = context;
  const registry = registryArgument(args[0]);
  const credential = readCredential({
    registry,
    file: textOption(options, "file") ?? "-",
    username: textOption(options, "username") ?? null,
    workingDirectory: context.workingDirectory,
  });
  const api = await context.api();
  const saved = await api.call("putSecret", { params: { registry }, body: credential });
  if (output.json) output.item("Secret", saved);
  else output.data(`Credential of ${neutralise(saved.username)} for ${saved.registry}: kept.`);
  output.talk("Next  hyperpilot secret list");
  return EXIT.success;
};

/** `secret list`. */
export const runList: Run = async ({ context }) => {
  const { output } = context;
  const nowMs = context.clock.wallMs();
  const columns: readonly Column<SecretView>[] = [
    { title: "REGISTRY", text: (secret) => secret.registry },
    { title: "USER", shrinks: true, text: (secret) => secret.username },
    {
      title: "SET",
      text: (secret) => formatAgo(secret.setAt, nowMs),
      plain: (secret) => secret.setAt,
    },
  ];
  const { items } = await (await context.api()).call("listSecrets", {});
  if (output.json) output.items("SecretList", items);
  else writeTable(output, columns, items, "No secrets.");
  return EXIT.success;
};

/** `secret rm`. */
export const runRemove: Run = async ({ args, context }) => {
  const { output } = context;
  const registry = registryArgument(args[0]);
  await (await context.api()).call("removeSecret", { params: { registry } });
  if (output.json) output.item("Secret", { registry, removed: true });
  else output.data(`Credential for ${registry}: forgotten.`);
  return EXIT.success;
};

function registryArgument(text = ""): string {
  const parsed = RegistryName.safeParse(text);
  if (parsed.success) return parsed.data;
  throw usageError(
    `${JSON.stringify(text)} is no host name of a registry.`,
    "Write it as registry.example.org or registry.example.org:5000; Docker Hub is docker.io.",
  );
}

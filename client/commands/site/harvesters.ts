/** `site harvester`. */
import { EXIT } from "../../../protocol/errors.ts";
import type { HarvesterView } from "../../../protocol/site.ts";
import type { Run } from "../../command.ts";
import { formatDuration, neutralise } from "../../format.ts";
import { writeTable, type Column } from "../../table.ts";

const COLUMNS: readonly Column<HarvesterView>[] = [
  { title: "HARVESTER", text: ({ name }) => name },
  { title: "HOST", shrinks: true, text: ({ host }) => host || "-" },
  { title: "VERSION", only: "programs", text: ({ version }) => version || "-" },
  {
    title: "LINK",
    tone: (one) => (!one.connected ? "bad" : one.serves.length === 0 ? "busy" : "good"),
    text: linkText,
    plain: (one) => (one.connected ? "connected" : "gone"),
  },
  { title: "SITES", shrinks: true, text: ({ sites }) => sites.join(",") || "all" },
  { title: "SERVES", shrinks: true, text: ({ serves }) => serves.join(",") || "-" },
  { title: "JOBS", align: "right", text: ({ submissions }) => String(submissions) },
  {
    title: "STANDS BY FOR",
    shrinks: true,
    text: standsByText,
    plain: ({ standsBy }) => standsBy.map(({ queue }) => queue).join(","),
  },
];

function linkText(one: HarvesterView): string {
  const since = formatDuration(one.sinceSeconds);
  if (one.connected) return `✓ for ${since}`;
  return `✗ gone for ${since}${one.tokenRevoked ? ", token revoked" : ""}`;
}

function standsByText({ standsBy }: HarvesterView): string {
  const texts = standsBy.map(({ queue, servedBy }) => `${queue} (served by ${servedBy})`);
  return texts.join(", ") || "-";
}

export const run: Run = async ({ context }) => {
  const { output } = context;
  const { items } = await (await context.api()).call("listHarvesters", {});
  if (output.json) {
    output.items("HarvesterList", items);
    return EXIT.success;
  }
  const empty = "No harvester has connected since the server started: hyperpilot harvester --help";
  writeTable(output, COLUMNS, items, empty);
  for (const { standsBy, name, host } of items) {
    const [first] = standsBy;
    if (first === undefined || output.stdout.isTty) continue;
    output.talk(
      neutralise(`${name} on ${host} stands by for ${first.queue}, served by ${first.servedBy}`),
    );
  }
  return EXIT.success;
};

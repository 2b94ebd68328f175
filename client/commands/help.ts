import { EXIT } from "../../protocol/errors.ts";
import type { Run } from "../command.ts";
import { hyperpilotProgram } from "../hyperpilot.ts";
import { tellForeignPhpo } from "../phpo-path.ts";
import { helpText } from "../program.ts";
import { writeTable } from "../table.ts";

interface ExitCodeRow {
  readonly exit: number;
  readonly meaning: string;
}

const MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  success: "success, also with an empty list",
  failed: "failed, unexpectedly",
  usage: "the command line or a file of yours is wrong; nothing was sent",
  cancelled: "cancelled at a question",
  unauthenticated: "no token, or the server refuses it",
  taskUnsuccessful: "the task ended without success",
  notFound: "there is no such thing, or you may not see it",
  conflict: "the present state does not allow it, or it changed meanwhile",
  notFinished: "not finished yet",
  refusedByLimit: "refused by a limit",
  unreachable: "the server cannot be reached; trying again is safe",
  interrupted: "interrupted by Ctrl-C",
};

export const run: Run = ({ args, context }) => {
  const { output } = context;
  const topic = args.join(" ");
  if (topic !== "exit-codes") {
    output.data(helpText(hyperpilotProgram(), topic).trimEnd());
    if (topic === "phpo") tellForeignPhpo(context);
    return Promise.resolve(EXIT.success);
  }
  const names = Object.keys(MEANINGS) as (keyof typeof EXIT)[];
  const rows: ExitCodeRow[] = names.map((name) => ({ exit: EXIT[name], meaning: MEANINGS[name] }));
  if (output.json) output.items("ExitCodeList", rows);
  else {
    const columns = [
      { title: "CODE", align: "right" as const, text: (row: ExitCodeRow) => String(row.exit) },
      { title: "MEANING", text: (row: ExitCodeRow) => row.meaning },
    ];
    writeTable(output, columns, rows, "");
  }
  return Promise.resolve(EXIT.success);
};

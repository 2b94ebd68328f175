/** What a shell for a person begins with. Pure. */

export interface ShellRc {
  /** The command of the evaluation. */
  readonly exec: string;
  readonly pointId: string;
  /** Result file; null when there is none. */
  readonly output: string | null;
}

/** Read by bash and by any POSIX shell: `run` does what the evaluation would. */
export function shellRc({ exec, pointId, output }: ShellRc): string {
  const result =
    output === null
      ? []
      : [
          `  if [ -f ${quoted(output)} ]; then printf '%s: ' ${quoted(output)}; cat -- ${quoted(output)}; echo; fi`,
        ];
  return [
    "# What an evaluation does: no earlier result, then the command.",
    "run() {",
    ...(output === null ? [] : [`  rm -rf -- ${quoted(output)}`]),
    `  /bin/sh -c ${quoted(exec)}`,
    "  hyperpilot_status=$?",
    ...result,
    '  echo "exit code $hyperpilot_status"',
    '  return "$hyperpilot_status"',
    "}",
    // Apptainer's would put its own prompt in place.
    "unset PROMPT_COMMAND",
    `PS1='point ${pointId.replaceAll(/\D/g, "")} $ '`,
    "",
  ].join("\n");
}

/** For `/bin/sh -c`: an interactive shell with the rc file, or one that runs what stands on its standard input. */
export function shellStart(rcFile: string, isInteractive: boolean): string {
  const rc = quoted(rcFile);
  if (!isInteractive) return `. ${rc}; eval "$(cat)"`;
  return `if command -v bash >/dev/null 2>&1; then exec bash --noprofile --rcfile ${rc} -i; fi; ENV=${rc}; export ENV; exec /bin/sh -i`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

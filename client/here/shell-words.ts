/** Words of a command line for `/bin/sh -c`. */

/** Quoted only where it must be: people read the command. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A point's JSON text as options, as an evaluation is given them: `--lr=0.01 --batch=12`. */
export function pointOptions(pointText: string): string {
  let value: unknown;
  try {
    value = JSON.parse(pointText);
  } catch {
    // Only shown; evaluations get the text itself.
    return "";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "";
  return Object.entries(value)
    .map(([name, one]) =>
      shellWord(`--${name}=${typeof one === "string" ? one : JSON.stringify(one)}`),
    )
    .join(" ");
}

/** What is wrong with a script, and where: lines and columns count from 1, columns in characters. Pure. */

export interface ScriptFault {
  /** Offset into the text of the script. */
  readonly at: number;
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

export function scriptFault(source: string, at: number, text: string): ScriptFault {
  const before = source.slice(0, at);
  const lineStart = before.lastIndexOf("\n") + 1;
  let line = 1;
  for (let i = before.indexOf("\n"); i >= 0; i = before.indexOf("\n", i + 1)) line++;
  return { at, line, column: [...before.slice(lineStart)].length + 1, text };
}

/** `line 3, column 7: ...`, as it is shown to people. */
export function faultText({ line, column, text }: ScriptFault): string {
  return `line ${line}, column ${column}: ${text}`;
}

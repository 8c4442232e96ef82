/** Why a script did what it did, in words: each line of its trace with the line of the script and the tests that held. Pure. */
import { scriptFault } from "./fault.ts";
import type { Held, Outcome } from "./outcome.ts";
import { printHead } from "./printer.ts";

/** `fileinto "Bills" (line 3: header :contains "subject" "bill")`, one for each line of the trace. */
export function explained({ trace, reasons }: Outcome, source: string): string[] {
  const lineOf = (at: number) => scriptFault(source, at, "").line;
  const word = ({ at, test }: Held) => test === null ? `else in line ${lineOf(at)}` : printHead(test);
  return trace.map((what, index) => {
    const reason = reasons[index];
    if (reason === undefined) return `${what} (nothing took its place)`;
    const { at, held } = reason;
    const because = held.length === 0 ? "" : `: ${held.map(word).join("; and ")}`;
    return `${what} (line ${lineOf(at)}${because})`;
  });
}

/**
 * Every command of the table has transcripts: what it asks of the server, what is said when it makes no sense, and how it is
 * refused in each state that does not allow it. A command that is added without them fails here.
 */
import assert from "node:assert/strict";
import { APPENDING, COMMANDS, type SessionState } from "../../../protocols/imap/command_table.ts";
import { transcriptFiles } from "../../lib/transcript.ts";

type Answer = "OK" | "malformed" | SessionState;

/** By the name of the command, what the transcripts show it to be answered. */
function answers(): Map<string, Set<Answer>> {
  const shown = new Map<string, Set<Answer>>();
  for (const { text } of transcriptFiles("imap")) {
    const sent = new Map<string, string>();
    for (const line of text.split("\n")) {
      const command = /^C[:~] (\S+) +((?:UID )?[A-Za-z]+)/i.exec(line);
      if (command !== null) sent.set(command[1]!, command[2]!.toUpperCase());
      const reply = /^S: (\S+) (OK|BAD) (.*)/.exec(line);
      const name = reply === null ? undefined : sent.get(reply[1]!);
      if (reply === null || name === undefined) continue;
      if (!shown.has(name)) shown.set(name, new Set());
      shown.get(name)!.add(reply[2] === "OK" ? "OK" : refusal(reply[3]!));
    }
  }
  return shown;
}

function refusal(words: string): Answer {
  if (words === "Log in first") return "not-authenticated";
  if (words === "Select a mailbox first") return "authenticated";
  return words === "Already logged in" ? "selected" : "malformed";
}

Deno.test("every command has transcripts of its success, of what is malformed, and of each state without it", () => {
  const shown = answers();
  const rules = [...[...COMMANDS].map(([name, { states }]) => [name, states] as const), ...APPENDING];
  for (const [name, states] of rules) {
    const wanted: Answer[] = ["OK", "malformed"];
    for (const state of ["not-authenticated", "authenticated", "selected"] as const) {
      if (!states.includes(state)) wanted.push(state);
    }
    // A command for strangers is refused in the same words with a mailbox and without.
    const missing = wanted.filter((answer) =>
      !shown.get(name)?.has(
        states.includes("not-authenticated") && answer === "authenticated" ? "selected" : answer,
      )
    );
    assert.deepEqual(missing, [], name);
  }
});

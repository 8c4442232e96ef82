/**
 * Every command of POP3 has transcripts: its success, what is malformed, the state that does not allow it, and each refusal of
 * its own. A command that is added without them fails here.
 */
import assert from "node:assert/strict";
import type { Verb } from "../../../protocols/pop3/command.ts";
import { transcriptFiles } from "../../lib/transcript.ts";

const LOGIN_FIRST = "-ERR Log in first", LOGGED_IN = "-ERR Logged in already";
const NUMBER = "-ERR Expected a message number";
const NOTHING_BEHIND = " takes no argument";
const NONE = ["-ERR No such message", "-ERR The message is deleted"];

/** How replies begin, or end, that the transcripts have to show, besides +OK. */
const REFUSALS: Readonly<Record<Verb, readonly string[]>> = {
  CAPA: [NOTHING_BEHIND],
  LANG: ["-ERR No such language here", "-ERR Expected"],
  QUIT: [NOTHING_BEHIND, "-ERR [SYS/"],
  STLS: [
    NOTHING_BEHIND,
    LOGGED_IN,
    "-ERR TLS is active already",
    "-ERR STLS comes before UTF8",
    "-ERR TLS is not available here",
  ],
  UTF8: [NOTHING_BEHIND, LOGGED_IN],
  USER: ["-ERR Expected", LOGGED_IN, "-ERR [SYS/PERM] Start TLS first"],
  PASS: ["-ERR USER first", "-ERR [AUTH]", "-ERR [IN-USE]", "-ERR [SYS/TEMP]", LOGGED_IN],
  AUTH: [
    "-ERR Expected",
    "-ERR Unknown SASL mechanism",
    "-ERR Authentication cancelled",
    "-ERR Expected base64",
    "-ERR [AUTH]",
    "-ERR [SYS/PERM] Start TLS first",
    LOGGED_IN,
  ],
  STAT: [NOTHING_BEHIND, LOGIN_FIRST],
  LIST: [NUMBER, LOGIN_FIRST, ...NONE],
  UIDL: [NUMBER, LOGIN_FIRST, ...NONE],
  RETR: [NUMBER, LOGIN_FIRST, ...NONE, "-ERR [UTF8]", "-ERR [SYS/TEMP]"],
  TOP: [NUMBER, LOGIN_FIRST, ...NONE, "-ERR [UTF8]", "-ERR [SYS/TEMP]"],
  DELE: [NUMBER, LOGIN_FIRST, ...NONE],
  RSET: [NOTHING_BEHIND, LOGIN_FIRST],
  NOOP: [NOTHING_BEHIND, LOGIN_FIRST],
};

/** By the name of the command, its replies. */
function replies(): Map<string, Set<string>> {
  const shown = new Map<string, Set<string>>();
  for (const { text } of transcriptFiles("pop3")) {
    const waiting: string[] = [];
    let challenged = false;
    for (const line of text.split("\n")) {
      // What was sent in clear behind STLS is void.
      if (line === "= TLS") waiting.length = 0;
      const sent = /^C[:~] ?(.*)/.exec(line);
      if (sent !== null && !challenged) waiting.push(/^[A-Za-z0-9]*/.exec(sent[1]!)![0].toUpperCase());
      if (sent !== null) challenged = false;
      if (line.startsWith("S: + ")) challenged = true;
      const reply = /^S: (\+OK|-ERR.*)/.exec(line);
      const name = reply === null ? undefined : waiting.shift();
      if (name === undefined) continue;
      if (!shown.has(name)) shown.set(name, new Set());
      shown.get(name)!.add(reply![1]!);
    }
  }
  return shown;
}

Deno.test("every command has transcripts of its success and of each refusal", () => {
  const shown = replies();
  for (const [name, refusals] of Object.entries(REFUSALS)) {
    const told = [...shown.get(name) ?? []];
    const missing = ["+OK", ...refusals].filter((begin) =>
      !told.some((reply) => reply.startsWith(begin) || reply.endsWith(begin))
    );
    assert.deepEqual(missing, [], `${name}: ${told.join(" | ")}`);
  }
});

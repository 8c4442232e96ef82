/**
 * Every command of ManageSieve has transcripts: its success, what is malformed, the state that does not allow it, and what the
 * repository refuses. A command that is added without them fails here.
 */
import assert from "node:assert/strict";
import { type Verb, VERBS } from "../../../protocols/managesieve/command.ts";
import { transcriptFiles } from "../../lib/transcript.ts";

const LOGIN_FIRST = 'NO "Log in first"';
const NAME = ["takes the name of a script", "This is no name of a script"];
const NONE = "(NONEXISTENT)", TAKEN = "(ALREADYEXISTS)", ACTIVE = "(ACTIVE)";
const QUOTA = ["(QUOTA/MAXSIZE)", "(QUOTA/MAXSCRIPTS)"], LATER = "(TRYLATER)";

/** What replies have in them that the transcripts have to show, besides OK. */
const REFUSALS: Readonly<Record<Verb, readonly string[]>> = {
  AUTHENTICATE: [
    "takes a mechanism and a response",
    "Unknown SASL mechanism",
    "Authentication cancelled",
    "Expected base64",
    "Wrong user name or password",
    "(ENCRYPT-NEEDED)",
    LATER,
    "Logged in already",
  ],
  CAPABILITY: ["takes no argument"],
  CHECKSCRIPT: ["takes a script", LOGIN_FIRST, "line 1"],
  DELETESCRIPT: [...NAME, "takes one name", LOGIN_FIRST, NONE, ACTIVE, LATER],
  GETSCRIPT: [...NAME, "takes one name", LOGIN_FIRST, NONE],
  HAVESPACE: [...NAME, "takes a name and a number", LOGIN_FIRST, ...QUOTA],
  LISTSCRIPTS: ["takes no argument", LOGIN_FIRST],
  LOGOUT: [],
  NOOP: ["takes one string"],
  PUTSCRIPT: [...NAME, "takes a name and a script", LOGIN_FIRST, "line 1", ...QUOTA, LATER],
  RENAMESCRIPT: [...NAME, "takes two names", LOGIN_FIRST, NONE, TAKEN, LATER],
  SETACTIVE: [...NAME, "takes one name", LOGIN_FIRST, NONE, LATER],
  STARTTLS: ["takes no argument", "TLS comes before the login, once", "TLS is not available here"],
  UNAUTHENTICATE: ["takes no argument", LOGIN_FIRST],
};

/** By the name of the command, its replies. */
function replies(): Map<string, Set<string>> {
  const shown = new Map<string, Set<string>>();
  for (const { text } of transcriptFiles("managesieve")) {
    const waiting: string[] = [];
    for (const line of text.split("\n")) {
      const sent = /^C[:~] ?([A-Za-z]+)/.exec(line)?.[1]?.toUpperCase();
      if (sent !== undefined && VERBS.some((verb) => verb === sent)) waiting.push(sent);
      // What was sent in clear behind STARTTLS is void.
      if (line === "= TLS") waiting.length = 0;
      const reply = /^S: ((?:OK|NO|BYE)\b.*)/.exec(line);
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
    const missing = ["OK", ...refusals].filter((piece) =>
      !told.some((reply) => piece === "OK" ? reply.startsWith("OK") : reply.includes(piece))
    );
    assert.deepEqual(missing, [], `${name}: ${told.join(" | ")}`);
  }
});

/**
 * Seeded mutation of IMAP command streams against the pure session.
 *
 * Checked: nothing throws, the session always comes back to asking for input or closes, every tagged reply carries a
 * tag that was sent, the output is the same however the input is cut, and memory held stays below the limits.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { Out } from "../../bytes/out.ts";
import { ImapSession } from "../../protocols/imap/session.ts";
import { DEFAULT_SESSION_LIMITS } from "../../protocols/imap/session_options.ts";
import { PlainExchange } from "../protocols/imap/transcript.ts";
import { cutsOf, fuzz, mutate, pieces, type Random } from "./fuzzing.ts";

const SEEDS = [
  "a1 LOGIN alice secret\r\n",
  "a1 LOGIN {5+}\r\nalice {6}\r\nsecret\r\n",
  "a1 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n",
  "a1 AUTHENTICATE PLAIN\r\nAGFsaWNlAHNlY3JldA==\r\n",
  "a2 SELECT INBOX\r\n",
  'a3 FETCH 1:*,5 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (From "To")]<0.100> RFC822.SIZE)\r\n',
  "a4 UID SEARCH CHARSET UTF-8 OR (NOT SEEN) TEXT {3+}\r\nabc SINCE 1-Feb-1994\r\n",
  'a5 APPEND INBOX (\\Seen $x) " 7-Feb-1994 21:52:25 -0800" {12+}\r\nSubject: x\r\n\r\n',
  "a5 APPEND INBOX {2+}\r\nab (\\Seen) ~{3+}\r\nc\0d {0+}\r\n\r\n",
  "a5 UID REPLACE 7 INBOX {2+}\r\nab\r\n",
  "a6 IDLE\r\nDONE\r\n",
  'a6 ESEARCH IN (mailboxes (a "b") subtree x) RETURN (PARTIAL -1:-5 UPDATE (UID)) OR 1:3 UIDAFTER 7\r\n',
  "a6 NOTIFY SET STATUS (selected (MessageNew (UID BODY[TEXT]) MessageExpunge)) (personal NONE)\r\n",
  'a6 UIDBATCHES 500 1:9\r\na6 CANCELUPDATE "a6" "x"\r\n',
  "a6 ENABLE UIDONLY\r\na6 UID FETCH 1:* FLAGS (PARTIAL 5:1 CHANGEDSINCE 7)\r\n",
  'a7 LIST (SUBSCRIBED) "" ("*" %) RETURN (CHILDREN STATUS (MESSAGES SIZE))\r\n',
  "a8 STORE 1:3 +FLAGS.SILENT (\\Seen \\Deleted Work)\r\n",
  "a9 UID MOVE 1:* Trash\r\n",
  'b1 ID ("name" "x" "version" NIL)\r\n',
  'b2 CREATE "&ZeVnLIqe-/x" (USE (\\Drafts))\r\n',
  "b3 STATUS x (MESSAGES UIDNEXT)\r\n",
  "b4 STARTTLS\r\n",
  "b5 EXPUNGE\r\nb6 CLOSE\r\nb7 LOGOUT\r\n",
];
const TOKENS = [
  "\r\n",
  "\r",
  "\n",
  "{",
  "}",
  "{5}",
  "{5+}",
  "{99999999+}",
  "(",
  ")",
  '"',
  "\\",
  "*",
  "%",
  "[",
  "]",
  "<",
  ">",
]
  .concat([
    " ",
    "\0",
    "\xff",
    "NIL",
    "UID",
    "BODY[",
    "&",
    "~",
    "0",
    "4294967296",
    "+",
    "DONE",
    "a".repeat(300),
  ]);

function make(random: Random): Uint8Array {
  let text = "";
  const commands = 1 + random.below(5);
  if (random.below(3) > 0) text += SEEDS[0]! + SEEDS[4]!;
  for (let i = 0; i < commands; i++) text += random.pick(SEEDS);
  return encodeLatin1(mutate(random, text, { tokens: TOKENS, maxChanges: 5 }));
}

const SMALL = { lineOctets: 400, literalOctets: 200, commandOctets: 800, discardOctets: 2_000 };

/** Feeds chunks and answers every event; returns all output and the octets of appended messages. */
export function playImap(chunks: readonly Uint8Array[]): { readonly output: string; readonly data: string } {
  const out = new Out();
  const session = new ImapSession({
    out,
    hostName: "mx.example.test",
    tlsActive: false,
    startTlsAvailable: true,
    plainLoginAllowed: true,
    literals: "LITERAL+",
    mechanisms: new Map([["PLAIN", () => new PlainExchange()]]),
    serverId: new Map(),
    limits: { ...DEFAULT_SESSION_LIMITS, beforeLogin: SMALL, afterLogin: SMALL, messageOctets: 1_000 },
  });
  let data = "";
  for (const chunk of chunks) {
    const borrowed = chunk.slice();
    session.feed(borrowed);
    let budget = 1_000 + borrowed.length * 4;
    for (let event = session.next(); event.kind !== "need-input"; event = session.next()) {
      if (--budget < 0) throw new Error("the session does not come back to asking for input");
      switch (event.kind) {
        case "close":
          return { output: latin1(out.take()), data };
        case "credentials":
          session.loggedIn();
          break;
        case "append":
          if (event.append.mailbox === "INBOX") session.grantAppend();
          else session.answer({ status: "NO", code: "TRYCREATE", text: "No such mailbox" });
          break;
        case "append-next":
          if (event.message.sizeOctets > 0) session.grantAppend();
          else session.answer({ status: "NO", text: "The message is empty" });
          break;
        case "append-data":
          data += latin1(event.bytes, event.start, event.end);
          break;
        case "command":
          if (event.command.name === "SELECT") session.state = "selected";
          if (event.command.name === "CLOSE") session.state = "authenticated";
          session.answer({ status: "OK", text: JSON.stringify(event.command) });
          break;
        case "append-end":
        case "idle-end":
          session.answer({ status: "OK", text: event.kind });
          break;
        case "starttls":
          // Nothing is dropped here, so that the cut does not matter.
          session.tlsStarted();
          break;
        case "idle":
        case "append-void":
        case "compress":
          break;
        default:
          event satisfies never;
      }
    }
    borrowed.fill(0x2e);
  }
  return { output: latin1(out.take()), data };
}

export function checkImap(input: Uint8Array): void {
  const whole = playImap([input]);
  for (const cut of cutsOf(input, 2)) {
    assert.deepEqual(playImap(pieces(input, [cut])), whole, `cut at ${cut}`);
  }
  const text = latin1(input);
  for (const [, tag] of whole.output.matchAll(/^([^\s+]\S*) (?:OK|NO|BAD)/gm)) {
    assert.ok(tag === "*" || text.includes(tag!), `tag ${tag} was never sent`);
  }
}

export function fuzzImap(seed: number, runs: number): void {
  fuzz({ make, check: checkImap }, seed, runs);
}

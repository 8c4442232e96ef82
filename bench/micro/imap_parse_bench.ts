/** Framer, grammar and session: commands a second through the pure core. */
import { encode } from "../../bytes/decode.ts";
import { Out } from "../../bytes/out.ts";
import { Framer } from "../../protocols/imap/framer.ts";
import { ImapSession } from "../../protocols/imap/session.ts";
import { DEFAULT_SESSION_LIMITS } from "../../protocols/imap/session_options.ts";

function sessionInSelected(): ImapSession {
  const session = new ImapSession({
    out: new Out(),
    hostName: "mx.example.test",
    tlsActive: false,
    startTlsAvailable: false,
    plainLoginAllowed: true,
    literals: "LITERAL+",
    mechanisms: new Map(),
    serverId: new Map(),
    limits: DEFAULT_SESSION_LIMITS,
  });
  session.feed(encode("a LOGIN u p\r\n"));
  session.next();
  session.loggedIn();
  session.state = "selected";
  session.out.take();
  return session;
}

const COMMANDS: Record<string, string> = {
  "NOOP": "a1 NOOP\r\n",
  "UID FETCH n (BODY.PEEK[])": "a1 UID FETCH 4711 (UID BODY.PEEK[])\r\n",
  "FETCH 1:* with header fields":
    "a1 FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SUBJECT TO CC)])\r\n",
  "STORE": "a1 UID STORE 17 +FLAGS.SILENT (\\Seen)\r\n",
};

for (const [name, text] of Object.entries(COMMANDS)) {
  const octets = encode(text.repeat(100));
  Deno.bench(`frame 100 times ${name}`, () => {
    const framer = new Framer();
    framer.feed(octets);
    while (framer.next() !== "need-input");
  });
  const session = sessionInSelected();
  Deno.bench(`parse and answer 100 times ${name}`, () => {
    session.feed(octets);
    for (let event = session.next(); event.kind !== "need-input"; event = session.next()) {
      session.answer({ status: "OK", text: "Done" });
    }
    session.out.take();
  });
}

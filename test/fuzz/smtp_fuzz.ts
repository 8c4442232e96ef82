/**
 * Seeded mutations of SMTP command streams against the pure session.
 *
 * Looked for: an exception, a session that stops asking for input, output that depends on how the octets were cut, a
 * message that is over its limit or has a bare line end, a reply that is none, mail without MAIL, RCPT and (for
 * submission) a login. Findings stay in the corpus.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { Out } from "../../bytes/out.ts";
import { SessionMechanisms, SMTP_MECHANISMS } from "../../protocols/sasl/mechanisms.ts";
import { RECIPIENT_OK, reply, SENDER_OK } from "../../protocols/smtp/reply.ts";
import { SmtpSession } from "../../protocols/smtp/session.ts";
import type { SmtpSessionOptions } from "../../protocols/smtp/session_options.ts";
import { cutsOf, fuzz, mutate, pieces, type Random } from "./fuzzing.ts";

const SEEDS = [
  "EHLO a.example\r\n",
  "HELO a.example\r\n",
  "LHLO a.example\r\n",
  "MAIL FROM:<> BODY=BINARYMIME RET=HDRS ENVID=a+2Bb REQUIRETLS HOLDFOR=9\r\n",
  "MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<bob@b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@b\r\nBDAT 4 LAST\r\na\n\0\r",
  "ETRN b.example\r\n",
  "XCLIENT ADDR=192.0.2.1 HELO=+5Ba+5D\r\n",
  "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n",
  `AUTH SCRAM-SHA-256 ${btoa("n,,n=ann,r=x")}\r\n${btoa("c=biws,r=xnonce,p=" + btoa("p".repeat(32)))}\r\n`,
  `AUTH OAUTHBEARER ${btoa("n,a=ann,\x01auth=Bearer t\x01\x01")}\r\nAUTH EXTERNAL =\r\n`,
  "AUTH LOGIN\r\nYWxpY2U=\r\nc2VjcmV0\r\n",
  "MAIL FROM:<ann@a.example> SIZE=100 BODY=8BITMIME SMTPUTF8\r\n",
  "MAIL FROM:<>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: x\r\n\r\n..\r\nx\r\n.\r\n",
  "MAIL FROM:<ann@a.example>\r\nRCPT TO:<bob@example.test>\r\nBDAT 5\r\nab\r\ncBDAT 4 LAST\r\nd\r\n\r",
  'RCPT TO:<"bob jones"@[192.0.2.1]>\r\n',
  "RCPT TO:<no@example.test>\r\nDATA\r\n",
  "DATA\r\na\nb\r\n.\r\n",
  "BDAT 0 LAST\r\n",
  "RSET\r\nNOOP x\r\nVRFY bob\r\nEXPN x\r\nHELP\r\n",
  "STARTTLS\r\n",
  "QUIT\r\n",
];
const TOKENS = [
  "\r\n",
  "\r",
  "\n",
  ".",
  "\r\n.\r\n",
  "\n.\n",
  "\0",
  "\xff",
  " ",
  "<",
  ">",
  "@",
  '"',
  "\\",
  ":",
  "*",
  "=",
]
  .concat(["BDAT 9 LAST\r\n", "BDAT 99999999999999999999\r\n", "AUTH PLAIN\r\n", "LAST", "x".repeat(400)]);

function make(random: Random): Uint8Array {
  let text = random.below(4) > 0 ? SEEDS[0]! : "";
  const commands = 1 + random.below(6);
  for (let i = 0; i < commands; i++) text += random.pick(SEEDS);
  return encodeLatin1(mutate(random, text, { tokens: TOKENS, maxChanges: 5 }));
}

const KEY = new Uint8Array(32);
const ALL_MECHANISMS = new SessionMechanisms(SMTP_MECHANISMS, {
  scram: () => () => ({
    verifierOf: () => ({ iterations: 4_096, salt: KEY, storedKey: KEY, serverKey: KEY }),
    nonce: "nonce",
  }),
  bearer: () => true,
  certificate: () => true,
});

const LIMITS = {
  commandLineOctets: 200,
  authLineOctets: 300,
  messageOctets: 60,
  recipients: 3,
  commands: 40,
  errors: 12,
};

interface Played {
  readonly output: string;
  /** Messages handed out, in order. */
  readonly messages: readonly string[];
}

/** Feeds chunks and answers every event. */
export function playSmtp(
  chunks: readonly Uint8Array[],
  options: Pick<SmtpSessionOptions, "service" | "bareLineEnds">,
): Played {
  const out = new Out();
  const session = new SmtpSession({
    out,
    hostName: "mx.example.test",
    tlsActive: false,
    startTlsAvailable: true,
    mechanisms: ALL_MECHANISMS,
    plainLoginAllowed: true,
    limits: LIMITS,
    offers: { maxPriority: 4, etrn: true, xclient: true, futureRelease: { maxSeconds: 60, now: () => 0 } },
    observer: { replied: () => {}, limited: () => {} },
    ...options,
  });
  const messages: string[] = [];
  let data = "";
  let recipients = -1;
  let binary = false;
  for (const chunk of chunks) {
    const borrowed = chunk.slice();
    session.feed(borrowed);
    let budget = 1_000 + borrowed.length * 4;
    for (let event = session.next(); event.kind !== "need-input"; event = session.next()) {
      if (--budget < 0) throw new Error("the session does not come back to asking for input");
      switch (event.kind) {
        case "close":
          return { output: latin1(out.take()), messages };
        case "output":
          throw new Error("more output than 40 commands can have");
        case "helo":
          recipients = -1;
          session.accept();
          break;
        case "mail":
          assert.equal(recipients, -1, "MAIL in a transaction");
          assert.ok(options.service !== "submission" || session.loggedIn, "MAIL without a login");
          recipients = 0;
          data = "";
          binary = event.parameters.body === "BINARYMIME";
          session.answer(SENDER_OK);
          break;
        case "rcpt": {
          assert.ok(recipients >= 0, "RCPT without MAIL");
          const known = event.forwardPath.localPart.startsWith("b");
          if (known) recipients++;
          session.answer(known ? RECIPIENT_OK : reply(550, "5.1.1", "No such user"));
          break;
        }
        case "begin":
          assert.ok(recipients > 0 && recipients <= LIMITS.recipients, "a message without recipients");
          session.accept();
          break;
        case "data":
          data += latin1(event.bytes, event.start, event.end);
          break;
        case "message":
          assert.equal(data.length, event.octets);
          assert.ok(event.octets <= LIMITS.messageOctets, "a message over the limit");
          if (!binary) assert.doesNotMatch(data.replaceAll("\r\n", ""), /[\r\n]/, "a bare line end");
          messages.push(data);
          if (options.service === "lmtp") {
            session.answerEach(Array.from({ length: recipients }, () => reply(250, "2.0.0", "Stored")));
          } else session.answer(reply(250, "2.0.0", `Stored ${event.octets}`));
          recipients = -1;
          break;
        case "lookup":
        case "etrn":
          session.answer(reply(252, "2.0.0", "Perhaps"));
          break;
        case "xclient":
          assert.equal(recipients, -1, "XCLIENT in a transaction");
          session.restarted(options.bareLineEnds);
          break;
        case "discard":
          recipients = -1;
          break;
        case "credentials":
          session.authenticated();
          break;
        case "starttls":
          // Nothing is dropped here, so that the cut does not matter.
          recipients = -1;
          session.tlsStarted();
          break;
        default:
          event satisfies never;
      }
    }
    borrowed.fill(0x2e);
  }
  return { output: latin1(out.take()), messages };
}

/** Every input meets all services and both ways with bare line ends. */
const WAYS = (["mx", "submission", "lmtp"] as const).flatMap((service) =>
  (["refuse", "convert"] as const).map((bareLineEnds) => ({ service, bareLineEnds }))
);

export function checkSmtp(input: Uint8Array): void {
  for (const options of WAYS) {
    const whole = playSmtp([input], options);
    for (const at of cutsOf(input, 2)) {
      assert.deepEqual(
        playSmtp(pieces(input, [at]), options),
        whole,
        `${JSON.stringify(options)}, cut at ${at}`,
      );
    }
    const single = playSmtp([...input].map((octet) => new Uint8Array([octet])), options);
    assert.deepEqual(single, whole, `${JSON.stringify(options)}, octet by octet`);
    for (const line of whole.output.split("\r\n").slice(0, -1)) assert.match(line, /^[2-5]\d\d[ -][ -~]*$/);
  }
}

export function fuzzSmtp(seed: number, runs: number): void {
  fuzz({ make, check: checkSmtp }, seed, runs);
}

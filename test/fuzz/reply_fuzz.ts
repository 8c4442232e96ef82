/**
 * Fuzzing the sending machine: whole sessions of another server, mutated and cut at random.
 *
 * Whatever the peer says, nothing throws, the session ends or asks for input, every transaction has one result for each
 * recipient, nothing but SMTP commands leaves, and a recipient counts as delivered only when a 2xx came after its data.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { ClientSession } from "../../protocols/smtp/client_session.ts";
import { cutsOf, fuzz, mutate, Random } from "./fuzzing.ts";

const SEEDS = [
  "220 mx ESMTP\r\n250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n250 2.0.0 ok\r\n250 ok\r\n452 4.5.3 many\r\n221 bye\r\n",
  "220 mx\r\n502 no\r\n250 mx\r\n250 ok\r\n250 ok\r\n450 later\r\n354 go\r\n250 ok\r\n421 4.3.2 bye\r\n",
  "220 mx\r\n250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n220 go\r\n250 mx\r\n334 VXNlcm5hbWU6\r\n235 ok\r\n",
  "220 mx\r\n250-mx\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 a\r\n550 5.2.2 b\r\n",
  "220 mx\r\n250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n250 one\r\n250 two\r\n452 4.3.1 full\r\n503 no\r\n",
  "220 mx\r\n250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n250 m\r\n250 r\r\n250 c\r\n250 l\r\n250 rset\r\n250 m\r\n550 r\r\n503 c\r\n503 l\r\n250 rset\r\n250 m\r\n250 r\r\n250 c\r\n250 l\r\n",
  "220 mx\r\n250 AUTH SCRAM-SHA-256 PLAIN\r\n334 cj1ueHksczFBPT0saT00\r\n334 dj1BQUFB\r\n235 ok\r\n504 no\r\n235 ok\r\n",
];
const COMMAND =
  /^(EHLO|HELO|LHLO|STARTTLS|AUTH|MAIL FROM:<|RCPT TO:<|DATA|RSET|QUIT|BDAT \d+( LAST)?$|x$|dXNlcg==|c2VjcmV0|[A-Za-z0-9+/=]*$|\.)/;

const TOKENS = ["\r\n", "\n", "\r", "250-", "250 ok\r\n", "421 x\r\n", "354 x\r\n", "x".repeat(200)];

export function fuzzReplies(seed: number, runs: number): void {
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(SEEDS), { tokens: TOKENS, maxChanges: 6 }));
  fuzz({ make, check: checkReplies }, seed, runs);
}

/** One conversation; what we do in it and where the input is cut follows from the input, so that it repeats. */
export function checkReplies(input: Uint8Array): void {
  const random = new Random(cutsOf(input, 1)[0]! + 1);
  const oneIn = (count: number) => random.below(count) === 0;
  const session = new ClientSession({
    mode: oneIn(3) ? "lmtp" : "smtp",
    helloName: "us.test",
    starttls: random.pick(["offered", "required", "off"]),
    tlsActive: oneIn(5),
    credentials: oneIn(3) ? { user: "user", password: "secret", ...(oneIn(2) && { nonce: "n" }) } : null,
    chunking: oneIn(3),
    clearPassword: oneIn(2),
    limits: { lineOctets: 100, lines: 10 },
  });
  let at = 0;
  /** Transactions without a result: their recipients, and whether the message was written. */
  const expected: { readonly recipients: number; written: boolean }[] = [];
  const expect = ({ recipients }: { readonly recipients: readonly unknown[] }) =>
    expected.push({ recipients: recipients.length, written: false });
  const whole = () => ({ whole: session.offersWhole && oneIn(2) });
  const transaction = () => {
    const count = 1 + random.below(3);
    return {
      sender: "a@a.test",
      recipients: Array.from(
        { length: count },
        (_, n) => ({ address: `r${n}@b.test`, notify: "", originalRecipient: "" }),
      ),
      sizeOctets: random.below(1_200),
      eightBit: oneIn(2),
      smtputf8: oneIn(10),
      requireTls: oneIn(10),
      ret: "" as const,
      envelopeId: "",
    };
  };
  for (let steps = 0;; steps++) {
    assert.ok(steps < 20_000, "the session does not end");
    const event = session.next();
    switch (event.kind) {
      case "need-input": {
        checkCommands(latin1(session.out.take()));
        if (at >= input.length) {
          session.lost("lost");
          break;
        }
        const end = Math.min(input.length, at + 1 + random.below(40));
        session.feed(input.slice(at, end));
        at = end;
        break;
      }
      case "ready":
        assert.equal(expected.length, 0, "a result is missing");
        if (oneIn(10)) {
          session.quit();
          break;
        }
        {
          const sent = transaction();
          expect(sent);
          session.send(sent, whole());
        }
        break;
      case "data": {
        if (event.by === "BDAT") {
          session.chunk(encodeLatin1("x\r\n"), false);
          session.chunk(encodeLatin1("x\r\n"), true);
        } else session.out.text(".\r\n");
        session.dataSent();
        expected.find(({ written }) => !written)!.written = true;
        const next = transaction();
        if (!oneIn(3) && session.sendBehind(next, whole())) expect(next);
        break;
      }
      case "derive-key":
        session.derived(new Uint8Array(32));
        break;
      case "result": {
        const { recipients, written } = expected.shift()!;
        assert.equal(event.result.recipients.length, recipients);
        for (const { outcome, reply } of event.result.recipients) {
          if (outcome !== "delivered") continue;
          assert.ok(written && reply !== null && reply.code >= 200 && reply.code < 300);
        }
        break;
      }
      case "starttls":
        session.tlsStarted();
        break;
      case "starttls-refused":
        break;
      case "unusable":
        assert.notEqual(event.failure.outcome, "delivered");
        break;
      case "closed":
        assert.equal(expected.length, 0, "closed without a result");
        checkCommands(latin1(session.out.take()));
        return;
      default:
        event satisfies never;
    }
  }
}

function checkCommands(text: string): void {
  if (text === "") return;
  assert.ok(text.endsWith("\r\n"));
  for (const line of text.slice(0, -2).split("\r\n")) assert.match(line, COMMAND);
}

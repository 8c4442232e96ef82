/** QUOTA (RFC 9208), INPROGRESS (RFC 9585) and COMPRESS=DEFLATE (RFC 4978) over the real store. */
import assert from "node:assert/strict";
import zlib from "node:zlib";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { Out } from "../../bytes/out.ts";
import type { ImapContext } from "../../server/imap/context.ts";
import { Progress, QUIET_MS } from "../../server/imap/progress.ts";
import { type Harness, imapTest } from "./imap_harness.ts";

const letter = (subject: string) => `Subject: ${subject}\r\n\r\n${subject}\r\n`;

async function setQuota(h: Harness, quota: { quotaOctets: number | null; quotaMessages: number | null }) {
  const account = h.test.store.directory.account("alice@example.test")!;
  await h.test.ok({ kind: "put-account", account: { ...account, ...quota } });
}

imapTest("quotas are what the administrator set, and nothing where there is none", async (h) => {
  const client = await h.login();
  const size = letter("one").length;
  await h.deliver(letter("one"), { flags: 8 });
  await h.deliver(letter("two"));
  assert.match(await client.ok('GETQUOTA ""'), /^\* QUOTA "" \(\)\r$/m);
  await setQuota(h, { quotaOctets: 1_048_576, quotaMessages: 3 });
  assert.match(
    await client.ok("GETQUOTAROOT inbox"),
    /^\* QUOTAROOT "INBOX" ""\r\n\* QUOTA "" \(STORAGE 1 1024 MESSAGE 2 3\)\r$/m,
  );
  assert.match(
    await client.ok("STATUS INBOX (DELETED DELETED-STORAGE)"),
    new RegExp(`\\(DELETED 1 DELETED-STORAGE ${size}\\)`),
  );
  assert.match(await client.command("GETQUOTA other"), /^NO \[NONEXISTENT\]/);
  // RFC 9208 4.1.2: what is not there yet would have this root.
  assert.match(await client.ok("GETQUOTAROOT nowhere"), /^\* QUOTAROOT "nowhere" ""\r\n\* QUOTA "" /);
  assert.match(await client.command('SETQUOTA "" (STORAGE 1)'), /^NO \[NOPERM\]/);
  const message = letter("three");
  assert.match(await client.command(`APPEND INBOX {${message.length}+}\r\n${message}`), /^OK \[APPENDUID/m);
  assert.match(await client.command(`APPEND INBOX {${message.length}+}\r\n${message}`), /^NO \[OVERQUOTA\]/m);
  assert.match(await client.ok('GETQUOTA ""'), /MESSAGE 3 3\)/);
});

imapTest("a session goes on compressed, and in clear after UNAUTHENTICATE", async (h) => {
  await h.deliver(letter("squeezed"));
  const client = await h.login();
  await client.ok("COMPRESS DEFLATE");
  const deflate = zlib.createDeflateRaw();
  const inflate = zlib.createInflateRaw();
  let text = "";
  inflate.on("data", (piece: Uint8Array) => text += latin1(piece));
  const send = async (line: string, behind = "") => {
    deflate.write(encodeLatin1(line));
    await new Promise<void>((done) => deflate.flush(zlib.constants.Z_SYNC_FLUSH, done));
    client.send(latin1(deflate.read() as Uint8Array) + behind);
  };
  const until = async (pattern: RegExp) => {
    for (let tries = 0; !pattern.test(text); tries++) {
      assert.ok(tries < 100, `no ${pattern} in ${text}`);
      const octets = encodeLatin1(await client.until(/[^]+$/));
      await new Promise<void>((done) => inflate.write(octets, () => done()));
    }
  };
  await send("c1 SELECT INBOX\r\nc2 FETCH 1 BODY[]\r\n");
  await until(/c2 OK/);
  assert.match(text, /^Subject: squeezed\r$/m);
  await send("c3 COMPRESS DEFLATE\r\nc4 IDLE\r\n");
  await until(/\+ idling/);
  assert.match(text, /c3 NO \[COMPRESSIONACTIVE\]/);
  await h.deliver(letter("another"));
  await until(/^\* 2 EXISTS\r$/m);
  // RFC 8437 3: the next login may come at once, in clear.
  await send("DONE\r\nc5 UNAUTHENTICATE\r\n", "c6 LOGIN alice secret\r\n");
  await until(/c5 OK/);
  const [, clear] = text.split(/^c5 OK[^\r]*\r\n/m);
  assert.equal(clear, "", "compression ends behind the answer");
  assert.match(await client.until(/^c6 OK [^\r]*\r\n/m), /COMPRESS=DEFLATE/);
  assert.match(await client.ok("COMPRESS DEFLATE"), /^OK DEFLATE active/);
  deflate.destroy();
  inflate.destroy();
});

Deno.test("a long command says how far it is, a short one nothing", () => {
  const out = new Out();
  let time = 0;
  const context = {
    ...{ out, now: () => time, session: { tag: "a7" }, drainSoon: () => {} },
  } as unknown as ImapContext;
  const progress = new Progress(context, 1_000);
  time += QUIET_MS - 1;
  progress.add(100);
  assert.equal(out.pending, 0);
  time += 1;
  progress.add(100);
  assert.equal(latin1(out.take()), '* OK [INPROGRESS ("a7" 200 1000)] Still at it\r\n');
  progress.add(700);
  assert.equal(out.pending, 0);
  time += QUIET_MS;
  progress.add(200);
  assert.equal(latin1(out.take()), '* OK [INPROGRESS ("a7" 999 1000)] Still at it\r\n');
});

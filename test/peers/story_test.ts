/**
 * Two companies write to each other: A and B are Veredus processes on addresses of their own, found through MX records
 * in a real DNS server, used by real mail programs. B's best mail exchanger is always down, so its second is used.
 */
import assert from "node:assert/strict";
import { ImapFlow } from "imapflow";
import { arrives, returns, veredusCompany } from "../lib/company.ts";
import { inbox, PASSWORD, queueOf, submit } from "../lib/correspondence.ts";
import { Nsd } from "../lib/nsd.ts";
import { ProductionServer, whyNoPort25 } from "../lib/production_server.ts";
import { runOk, until } from "../lib/program.ts";

const ANN = "ann@a.test";
const BEN = "ben@b.test";
const A = "127.0.0.11", B_DOWN = "127.0.0.12", B = "127.0.0.13";
const obstacle = whyNoPort25();
if (obstacle !== null) console.log(`story_test is skipped: ${obstacle}`);

async function make(
  address: string,
  options: { hostname: string; domain: string; user: string; dns: Nsd },
): Promise<ProductionServer> {
  const server = await ProductionServer.create(address, {
    hostname: options.hostname,
    resolver: { servers: [`${options.dns.address}:${options.dns.port}`] },
    queue: { first_retry: "1s", max_retry: "2s", delay_notice: "1d" },
    relay: [{ recipients: ["down.test"], lifetime: "2s" }],
  });
  await server.command(["domain", "add", options.domain]);
  await server.command(["account", "add", options.user, "--password-stdin"], PASSWORD);
  return server;
}

Deno.test({
  name: "A writes to B by MX, B answers, waits for B are survived, and what cannot be sent comes back",
  ignore: obstacle !== null,
  fn: async (t) => {
    const dns = await Nsd.start({
      "a.test": `@ MX 10 mx.a.test.\nmx A ${A}`,
      "b.test": `@ MX 10 mx1.b.test.\n@ MX 20 mx2.b.test.\nmx1 A ${B_DOWN}\nmx2 A ${B}`,
      "down.test": `@ MX 10 mx1.b.test.`,
    });
    const a = await make(A, { hostname: "mx.a.test", domain: "a.test", user: ANN, dns });
    const b = await make(B, { hostname: "mx2.b.test", domain: "b.test", user: BEN, dns });
    try {
      await Promise.all([a.start(), b.start()]);

      await t.step("A's user submits, A finds B's second exchanger, B files it", async () => {
        await submit(a, { from: ANN, to: BEN, subject: "first letter" });
        const text = await arrives(veredusCompany(b), BEN, "first letter");
        assert.match(
          text,
          /^Return-Path: <ann@a\.test>\r\nDelivered-To: ben@b\.test\r\nReceived: from mx\.a\.test /,
        );
        assert.match(text, /with ESMTPS/, "between servers TLS is used when it is offered");
        assert.ok(text.endsWith("About first letter.\r\n.\r\nEnd.\r\n"));
      });

      await t.step("two IMAP clients and a POP3 client of B's user read the same", async () => {
        const [text] = await inbox(b, BEN, "first letter");
        const flow = new ImapFlow({
          host: B,
          port: 993,
          secure: true,
          tls: { rejectUnauthorized: false },
          auth: { user: BEN, pass: PASSWORD },
          logger: false,
        });
        await flow.connect();
        await flow.mailboxOpen("INBOX");
        const message = await flow.fetchOne("*", { source: true });
        assert.ok(message);
        assert.equal(message.source?.toString("latin1"), text);
        await flow.logout();
        const user = ["-sS", "-k", "--user", `${BEN}:${PASSWORD}`];
        assert.equal((await runOk("curl", [...user, `imap://${B}/INBOX;MAILINDEX=1`])).stdout, text);
        assert.equal((await runOk("curl", [...user, `pop3s://${B}/1`])).stdout, text);
      });

      await t.step("the answer comes back", async () => {
        const [text] = await inbox(b, BEN, "first letter");
        const id = /^Message-ID: (<.*>)\r$/mi.exec(text!)![1]!;
        await submit(b, { from: BEN, to: ANN, subject: "Re: first letter", inReplyTo: id });
        const answer = await arrives(veredusCompany(a), ANN, "Re: first letter");
        assert.match(answer, /^Received: from mx2\.b\.test /m);
        assert.ok(answer.includes(`In-Reply-To: ${id}`));
      });

      await t.step("with B down the message waits in A's queue, and goes when B is back", async () => {
        await b.stop();
        await submit(a, { from: ANN, to: BEN, subject: "second letter" });
        const row = await until("an attempt", async () => {
          return (await queueOf(a)).find(({ recipient, attempts }) => recipient === BEN && attempts > 0) ??
            null;
        });
        assert.equal(row.state, "queued");
        assert.match(row.lastReply, /^4\.\d\.\d /);
        await b.start();
        await arrives(veredusCompany(b), BEN, "second letter");
        assert.equal((await inbox(b, BEN, "second letter")).length, 1);
      });

      await t.step("after the last try its sender gets a delivery status notification", async () => {
        await submit(a, { from: ANN, to: "ben@down.test", subject: "third letter" });
        const notice = await returns(veredusCompany(a), ANN, "third letter");
        assert.match(notice, /^Return-Path: <>\r\n/);
        assert.match(notice, /^Final-Recipient: rfc822; ?ben@down\.test\r$/mi);
        assert.match(notice, /^Action: failed\r$/mi);
        assert.deepEqual(await queueOf(a), []);
      });
    } catch (error) {
      console.log(`A said:\n${a.output}\nB said:\n${b.output}`);
      throw error;
    } finally {
      await a.remove();
      await b.remove();
      await dns.stop();
    }
  },
});

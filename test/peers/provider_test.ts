/**
 * Two companies and their providers: A sends through its provider's smart host, B's provider is in B's MX records.
 *
 * One provider is Veredus, the other Debian's Postfix, and each is A's for some mail and B's for the other. B has a domain
 * for each place that a provider can have in MX records: the best exchanger, with B's own server behind it, or the backup.
 */
import assert from "node:assert/strict";
import { arrives, inbox, PASSWORD, queueOf, returns, submit } from "../lib/correspondence.ts";
import { Nsd } from "../lib/nsd.ts";
import { Postfix } from "../lib/postfix.ts";
import { ProductionServer, whyNoPort25 } from "../lib/production_server.ts";
import { until } from "../lib/program.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { issue } from "../lib/test_ca.ts";

const A = "127.0.0.21", B = "127.0.0.22", VEREDUS = "127.0.0.23", POSTFIX = "127.0.0.24", DNS = "127.0.0.25";
const ANN = "ann@a.test", ZOE = "zoe@a.test", BEN = "ben@best-v.test";

/** B's domains by the provider in their MX records and its place; A writes to them through the other provider. */
const AT_VEREDUS = ["best-v.test", "backup-v.test"], AT_POSTFIX = ["best-p.test", "backup-p.test"];
const DOMAINS = [...AT_VEREDUS, ...AT_POSTFIX];

const LATER = "10m", SOON = "1s";

const obstacle = whyNoPort25();
if (obstacle !== null) console.log(`provider_test is skipped: ${obstacle}`);

function startDns(): Promise<Nsd> {
  const company = (best: string, backup: string) => `@ MX 10 ${best}.\n@ MX 20 ${backup}.`;
  return Nsd.start({
    "a.test": `@ MX 10 mx\nmx A ${A}`,
    "b.test": `mx A ${B}`,
    "v.test": `mx A ${VEREDUS}`,
    "p.test": `mx A ${POSTFIX}`,
    "best-v.test": company("mx.v.test", "mx.b.test"),
    "backup-v.test": company("mx.b.test", "mx.v.test"),
    "best-p.test": company("mx.p.test", "mx.b.test"),
    "backup-p.test": company("mx.b.test", "mx.p.test"),
  }, { address: DNS, port: 53 });
}

const RESOLVER = { servers: [`${DNS}:53`] };

/** Files of a certificate that A verifies, because it logs in there. */
interface Certified {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

async function certify(folder: string): Promise<Certified> {
  const files = { authority: `${folder}/ca.pem`, certificate: `${folder}/v.pem`, key: `${folder}/v.key` };
  const authority = await issue({ name: "Test CA", by: null, ca: true });
  const server = await issue({ name: "mx.v.test", dns: ["mx.v.test"], by: authority });
  await Deno.writeTextFile(files.authority, authority.pem);
  await Deno.writeTextFile(files.certificate, server.pem);
  await Deno.writeTextFile(files.key, server.keyPem);
  await Deno.chmod(folder, 0o755);
  return files;
}

async function companyA({ authority }: Certified): Promise<ProductionServer> {
  const server = await ProductionServer.create(A, {}, { DENO_CERT: authority });
  await Deno.writeTextFile(`${server.folder}/relay-password`, PASSWORD);
  await server.configure({
    hostname: "mx.a.test",
    resolver: RESOLVER,
    queue: { first_retry: SOON, max_retry: SOON },
    identities: [{ senders: ["a.test"], ipv4: A }], // the one provider knows its customer by its address
    relay: [
      { recipients: AT_VEREDUS, next_hop: `${POSTFIX}:25` },
      {
        recipients: AT_POSTFIX,
        next_hop: "mx.v.test:587",
        tls: "required",
        username: "customer@v.test", // the other by its login
        password_file: `${server.folder}/relay-password`,
      },
    ],
  });
  await server.command(["domain", "add", "a.test"]);
  for (const user of [ANN, ZOE]) await server.command(["account", "add", user, "--password-stdin"], PASSWORD);
  return server;
}

async function companyB(): Promise<ProductionServer> {
  const server = await ProductionServer.create(B, { hostname: "mx.b.test", resolver: RESOLVER });
  const [first, ...others] = DOMAINS;
  await server.command(["domain", "add", first!]);
  for (const name of others) await server.command(["domain", "add", name, "--alias-of", first!]);
  await server.command(["account", "add", BEN, "--password-stdin"], PASSWORD);
  return server;
}

function veredusConfig({ certificate, key }: Certified, retry: string): Record<string, unknown> {
  return {
    hostname: "mx.v.test",
    resolver: RESOLVER,
    certificates: [{ certificate, key }],
    queue: { first_retry: retry, max_retry: retry },
  };
}

async function veredusProvider(certified: Certified): Promise<ProductionServer> {
  const server = await ProductionServer.create(VEREDUS, veredusConfig(certified, LATER));
  await server.command(["domain", "add", "v.test"]);
  await server.command(
    ["account", "add", "customer@v.test", "--password-stdin", "--send-as", ANN],
    PASSWORD,
  );
  // The best exchanger has nobody better in the MX records, so it is told where the mail goes.
  await server.command(["domain", "add", "best-v.test", "--relay", `${B}:25`]);
  await server.command(["domain", "add", "backup-v.test", "--relay", "mx"]);
  return server;
}

function postfixTimes(retry: string): Record<string, string> {
  return { minimal_backoff_time: retry, maximal_backoff_time: retry, queue_run_delay: retry };
}

function postfixProvider(): Promise<Postfix> {
  return Postfix.start(POSTFIX, {
    hostname: "mx.p.test",
    dns: DNS,
    main: {
      mynetworks: `${A}/32`,
      relay_domains: AT_POSTFIX.join(", "),
      transport_maps: `inline:{ best-p.test=smtp:[${B}] }`,
      fast_flush_domains: "$relay_domains",
      smtpd_relay_restrictions: "permit_mynetworks, reject_unauth_destination",
      smtpd_sender_restrictions: `check_sender_access inline:{ {${ZOE}=550 5.7.1 zoe has not paid} }`,
      smtp_tls_security_level: "may",
      ...postfixTimes(LATER),
    },
  });
}

/** The servers that a message went through, first to last. */
function way(message: string): string[] {
  const header = message.slice(0, message.indexOf("\r\n\r\n")).replace(/\r\n[ \t]+/g, " ");
  return [...header.matchAll(/^Received: .*?\bby (\S+)/gmi)].map(([, host]) => host!).reverse();
}

/** What company B does when it is back. */
async function etrn(provider: { readonly address: string }, domain: string): Promise<number> {
  const client = await SmtpClient.connect(25, { hostname: provider.address });
  const { code } = await client.command(`ETRN ${domain}`);
  await client.quit();
  return code;
}

Deno.test({
  name:
    "A's provider is a smart host, B's provider the best or the backup exchanger: Veredus and Postfix as each",
  ignore: obstacle !== null,
  fn: async (t) => {
    const folder = await Deno.makeTempDir({ prefix: "veredus-certified-" });
    const certified = await certify(folder);
    const dns = await startDns();
    const [a, b, veredus, postfix] = await Promise.all([
      companyA(certified),
      companyB(),
      veredusProvider(certified),
      postfixProvider(),
    ]);
    const writeToAll = (subject: string) =>
      Promise.all(
        DOMAINS.map((name) => submit(a, { from: ANN, to: `ben@${name}`, subject: `${subject} ${name}` })),
      );
    const allArrive = async (subject: string, ways: Readonly<Record<string, readonly string[]>>) => {
      for (const [name, hosts] of Object.entries(ways)) {
        const text = await arrives(b, BEN, `${subject} ${name}`);
        assert.deepEqual(way(text), ["mx.a.test", ...hosts, "mx.b.test"], text);
        assert.equal((await inbox(b, BEN, `${subject} ${name}`)).length, 1);
      }
    };
    const allWait = async () => {
      const [best, backup] = AT_VEREDUS, [bestOfPostfix, backupOfPostfix] = AT_POSTFIX;
      await until("mail to wait at Veredus", async () => {
        const tried = (await queueOf(veredus)).filter(({ attempts }) => attempts > 0);
        assert.ok(tried.every(({ state, lastReply }) => state === "queued" && lastReply.startsWith("4.")));
        return [best, backup].every((name) => tried.some(({ recipient }) => recipient === `ben@${name}`));
      });
      await until("mail to wait at Postfix", async () => {
        const waiting = (await postfix.queue()).filter(({ queue_name }) => queue_name === "deferred")
          .flatMap(({ recipients }) => recipients.map(({ address }) => address));
        return [bestOfPostfix, backupOfPostfix].every((name) => waiting.includes(`ben@${name}`));
      });
      assert.deepEqual(await queueOf(a), []);
    };
    /** Through both providers: B cannot be reached, or is not the best. */
    const BOTH = {
      "best-v.test": ["mx.p.test", "mx.v.test"],
      "backup-v.test": ["mx.p.test", "mx.v.test"],
      "best-p.test": ["mx.v.test", "mx.p.test"],
      "backup-p.test": ["mx.v.test", "mx.p.test"],
    };
    try {
      await Promise.all([a.start(), b.start(), veredus.start()]);

      await t.step("by the best exchanger, which is B's provider, or B itself, past the backup", async () => {
        await writeToAll("first");
        await allArrive("first", { ...BOTH, "backup-v.test": ["mx.p.test"], "backup-p.test": ["mx.v.test"] });
      });

      await t.step("A's provider refuses: A's user is told by whom and why", async () => {
        for (
          const [name, host, why] of [
            ["best-v.test", POSTFIX, "550 5.7.1 <zoe@a.test>: Sender address rejected: zoe has not paid"],
            ["best-p.test", VEREDUS, "550 5.7.1 The sender address does not belong to this login"],
          ] as const
        ) {
          await submit(a, { from: ZOE, to: `ben@${name}`, subject: `unpaid ${name}` });
          const notice = await returns(a, ZOE, `unpaid ${name}`);
          assert.ok(notice.includes(`\r\nFinal-Recipient: rfc822; ben@${name}\r\n`), notice);
          assert.match(notice, /^Action: failed\r$/m);
          assert.match(notice, /^Status: 5\.7\.1\r$/m);
          assert.ok(notice.includes(`\r\nDiagnostic-Code: smtp; ${why}`), notice);
          const said = notice.split("\r\n").find((line) => line.endsWith(` said: ${why}`));
          assert.ok(said?.includes(host), `${said} in ${notice}`);
        }
        assert.deepEqual(await inbox(b, BEN, "unpaid"), []);
      });

      await t.step(
        "B is down and its mail waits at its provider; ETRN brings it when B is back",
        async () => {
          await b.stop();
          await writeToAll("second");
          await allWait();
          await b.start();
          for (const name of AT_VEREDUS) assert.equal(await etrn(veredus, name), 253);
          for (const name of AT_POSTFIX) assert.equal(await etrn(postfix, name), 250);
          await allArrive("second", BOTH);
        },
      );

      await t.step("the same by retry", async () => {
        await Promise.all([b.stop(), veredus.stop(), postfix.configure(postfixTimes(SOON))]);
        await veredus.configure(veredusConfig(certified, SOON));
        await veredus.start();
        await writeToAll("third");
        await allWait();
        await b.start();
        await allArrive("third", BOTH);
      });

      assert.deepEqual([await queueOf(a), await queueOf(veredus), await postfix.queue()], [[], [], []]);
    } catch (error) {
      for (const { address, output } of [a, b, veredus]) console.log(`${address} said:\n${output}`);
      console.log(`Postfix said:\n${postfix.log()}`);
      throw error;
    } finally {
      await Promise.all([a.remove(), b.remove(), veredus.remove(), postfix.remove()]);
      await dns.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

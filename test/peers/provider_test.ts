/**
 * Two companies and their providers: A sends through its provider's smart host, B's provider is in B's MX records.
 *
 * One provider is Veredus, the other Debian's Postfix, and each is A's for some mail and B's for the other; the servers of the
 * companies are Veredus both, then Postfix both. B has a domain for each place that a provider can have in MX records: the best
 * exchanger, with B's own server behind it, or the backup.
 */
import assert from "node:assert/strict";
import { arrives, type Company, postfixCompany, returns, veredusCompany } from "../lib/company.ts";
import { PASSWORD, queueOf } from "../lib/correspondence.ts";
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

async function veredusA({ authority }: Certified): Promise<Company> {
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
  return veredusCompany(server);
}

function postfixA(): Promise<Company> {
  const ways = [
    ...AT_VEREDUS.map((name) => `{${name}=smtp:[${POSTFIX}]:25}`),
    ...AT_POSTFIX.map((name) => `{${name}=smtp:[${VEREDUS}]:587}`),
  ];
  return postfixCompany(A, {
    hostname: "mx.a.test",
    dns: DNS,
    users: { [ANN]: "ann", [ZOE]: "zoe" },
    main: {
      transport_maps: `inline:{ ${ways.join(" ")} }`,
      smtp_tls_security_level: "may",
      smtp_sasl_auth_enable: "yes",
      smtp_sasl_security_options: "noanonymous",
      smtp_sasl_password_maps: `inline:{ {[${VEREDUS}]:587=customer@v.test:${PASSWORD}} }`,
      ...postfixTimes(SOON),
    },
  });
}

async function veredusB(): Promise<Company> {
  const server = await ProductionServer.create(B, { hostname: "mx.b.test", resolver: RESOLVER });
  const [first, ...others] = DOMAINS;
  await server.command(["domain", "add", first!]);
  for (const name of others) await server.command(["domain", "add", name, "--alias-of", first!]);
  await server.command(["account", "add", BEN, "--password-stdin"], PASSWORD);
  return veredusCompany(server);
}

function postfixB(): Promise<Company> {
  const users = Object.fromEntries(DOMAINS.map((name) => [`ben@${name}`, "ben"]));
  return postfixCompany(B, { hostname: "mx.b.test", dns: DNS, users, main: postfixTimes(SOON) });
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

for (const companies of ["Veredus", "Postfix"] as const) {
  Deno.test({
    name:
      `A's provider is a smart host, B's provider the best or the backup exchanger: Veredus and Postfix as each; A and B are ${companies}`,
    ignore: obstacle !== null,
    fn: (t) => story(t, companies),
  });
}

async function story(t: Deno.TestContext, companies: "Veredus" | "Postfix"): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "veredus-certified-" });
  const certified = await certify(folder);
  const dns = await startDns();
  const [a, b, veredus, postfix] = await Promise.all([
    companies === "Veredus" ? veredusA(certified) : postfixA(),
    companies === "Veredus" ? veredusB() : postfixB(),
    veredusProvider(certified),
    postfixProvider(),
  ]);
  const writeToAll = (subject: string) =>
    Promise.all(
      DOMAINS.map((name) => a.submit({ from: ANN, to: `ben@${name}`, subject: `${subject} ${name}` })),
    );
  const allArrive = async (subject: string, ways: Readonly<Record<string, readonly string[]>>) => {
    for (const [name, hosts] of Object.entries(ways)) {
      const text = await arrives(b, BEN, `${subject} ${name}`);
      assert.deepEqual(way(text), ["mx.a.test", ...hosts, "mx.b.test"], text);
      assert.equal((await b.inbox(BEN, `${subject} ${name}`)).length, 1);
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
    assert.equal(await a.waiting(), 0);
  };
  /** Through both providers: B cannot be reached, or is not the best. */
  const BOTH = {
    "best-v.test": ["mx.p.test", "mx.v.test"],
    "backup-v.test": ["mx.p.test", "mx.v.test"],
    "best-p.test": ["mx.v.test", "mx.p.test"],
    "backup-p.test": ["mx.v.test", "mx.p.test"],
  };
  const steps: boolean[] = [];
  const step = async (name: string, run: () => Promise<void>) => void steps.push(await t.step(name, run));
  try {
    await Promise.all([veredus.start(), ...(companies === "Veredus" ? [a.start(), b.start()] : [])]);

    await step("by the best exchanger, which is B's provider, or B itself, past the backup", async () => {
      await writeToAll("first");
      await allArrive("first", { ...BOTH, "backup-v.test": ["mx.p.test"], "backup-p.test": ["mx.v.test"] });
    });

    await step("A's provider refuses: A's user is told by whom and why", async () => {
      for (
        const [name, host, why] of [
          ["best-v.test", POSTFIX, "550 5.7.1 <zoe@a.test>: Sender address rejected: zoe has not paid"],
          ["best-p.test", VEREDUS, "550 5.7.1 The sender address does not belong to this login"],
        ] as const
      ) {
        await a.submit({ from: ZOE, to: `ben@${name}`, subject: `unpaid ${name}` });
        const notice = await returns(a, ZOE, `unpaid ${name}`);
        assert.ok(notice.includes(`\r\nFinal-Recipient: rfc822; ben@${name}\r\n`), notice);
        assert.match(notice, /^Action: failed\r$/m);
        assert.match(notice, /^Status: 5\.7\.1\r$/m);
        const lines = notice.replace(/\r\n[ \t]+/g, " ").split("\r\n");
        assert.ok(lines.includes(`Diagnostic-Code: smtp; ${why}`), notice);
        const said = lines.find((line) => line.includes(` said: ${why}`));
        assert.ok(said?.includes(host), `${said} in ${notice}`);
      }
      assert.deepEqual(await b.inbox(BEN, "unpaid"), []);
    });

    await step(
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

    await step("the same by retry", async () => {
      await Promise.all([b.stop(), veredus.stop(), postfix.configure(postfixTimes(SOON))]);
      await veredus.configure(veredusConfig(certified, SOON));
      await veredus.start();
      await writeToAll("third");
      await allWait();
      await b.start();
      await allArrive("third", BOTH);
    });

    await until(
      "all queues to be empty",
      async () => await a.waiting() + (await queueOf(veredus)).length + (await postfix.queue()).length === 0,
    );
  } finally {
    if (steps.length < 4 || steps.includes(false)) {
      console.log(`A said:\n${a.log()}\nB said:\n${b.log()}\nVeredus said:\n${veredus.output}`);
      console.log(`Postfix said:\n${postfix.log()}`);
    }
    await Promise.all([a.remove(), b.remove(), veredus.remove(), postfix.remove()]);
    await dns.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

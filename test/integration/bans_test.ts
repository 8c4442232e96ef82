/** Bans in the running server: what brings one in each protocol, and on whom it falls where a proxy is in between. */
import assert from "node:assert/strict";
import type { Config, Protocol } from "../../server/config/config.ts";
import { DEFAULT_LIMITS } from "../../server/config/defaults.ts";
import { parseConfig } from "../../server/config/load.ts";
import { inBothShapes, listeners, PASSWORD, type RunningServer } from "../lib/running_server.ts";
import { Wire, WireClosed } from "../lib/wire.ts";

const ALICE = "alice@example.test";

function config(bans: string, more: Partial<Config> = {}): Partial<Config> {
  return {
    bans: parseConfig(`hostname: mx.example.test\nbans: { ${bans} }`, "/veredus.yaml").bans,
    listeners: listeners(
      ...(["smtp", "submission", "imap", "pop3"] as const).map((protocol) => ({
        protocol,
        plainLogin: true,
      })),
    ),
    ...more,
  };
}

/** Behind a proxy: every connection names its client. */
const proxied = (bans: string) => config(bans, { proxyNetworks: ["127.0.0.1/32"], captureOutbound: "" });

/** A connection of this client, and its greeting; "" says nothing of a client. */
async function from(server: RunningServer, protocol: Protocol, client = ""): Promise<[Wire, string]> {
  const wire = await Wire.connect(server.port(protocol));
  const family = client.includes(":") ? "TCP6" : "TCP4";
  const here = client.includes(":") ? "2001:db8:ffff::1" : "198.51.100.1";
  if (client !== "") await wire.write(`PROXY ${family} ${client} ${here} 4711 25\r\n`);
  return [wire, await wire.line()];
}

async function banned(server: RunningServer, client = ""): Promise<boolean> {
  const greetings = [];
  for (const protocol of ["smtp", "submission", "imap", "pop3"] as const) {
    const [wire, greeting] = await from(server, protocol, client);
    wire.close();
    greetings.push(/^(421|\* BYE|-ERR)/.test(greeting));
  }
  assert.equal(new Set(greetings).size, 1, "all protocols say the same");
  return greetings[0]!;
}

/** One login by POP3; true when it worked. */
async function logIn(server: RunningServer, client: string, password: string): Promise<boolean> {
  const [wire] = await from(server, "pop3", client);
  await wire.write(`USER ${ALICE}\r\n`);
  await wire.line();
  await wire.write(`PASS ${password}\r\n`);
  const answer = await wire.line();
  wire.close();
  return answer.startsWith("+OK");
}

inBothShapes("behind a proxy a ban falls on the client of the header, never on the proxy", async (start) => {
  const options = { config: proxied("offences: 3, first: 10m, allow: [203.0.113.0/24]") };
  const server = await start(options);
  const guess = async (client: string, times: number) => {
    for (let at = 0; at < times; at++) await logIn(server, client, `guess ${at} of ${client}`);
  };
  // The same wrong password is one offence, however often and in which thread it is tried.
  for (let at = 0; at < 10; at++) assert.equal(await logIn(server, "192.0.2.1", "the old one"), false);
  await guess("192.0.2.1", 1);
  assert.equal(await banned(server, "192.0.2.1"), false);
  // A success clears what stood against the address.
  await guess("192.0.2.2", 2);
  assert.equal(await logIn(server, "192.0.2.2", PASSWORD), true);
  await guess("192.0.2.2", 1);
  assert.equal(await banned(server, "192.0.2.2"), false);
  // Different ones ban it, and nobody else: not its neighbour, not the proxy, not who is allowed.
  await guess("192.0.2.3", 3);
  assert.equal(await banned(server, "192.0.2.3"), true);
  await guess("2001:db8:1:2::7", 3);
  assert.equal(await banned(server, "2001:db8:1:2:aaaa::9"), true, "the /64");
  assert.equal(await banned(server, "2001:db8:1:3::7"), false);
  await guess("203.0.113.9", 4);
  for (const client of ["203.0.113.9", "192.0.2.4", "127.0.0.1"]) {
    assert.equal(await banned(server, client), false, client);
  }
  await server.stop({ keep: true });
  await using again = await start({ ...options, data: server.data });
  assert.equal(await banned(again, "192.0.2.3"), true, "after a restart");
  assert.equal(await banned(again, "2001:db8:1:2::1"), true);
  assert.equal(await banned(again, "192.0.2.1"), false);
});

inBothShapes("a ban holds for whom a filter speaks by XCLIENT, and not for the filter", async (start) => {
  await using server = await start({
    config: config("offences: 2, allow: []", { xclientNetworks: ["127.0.0.0/8"] }),
  });
  const [wire] = await from(server, "smtp");
  const ask = async (line: string) => {
    await wire.write(`${line}\r\n`);
    for (;;) {
      const answer = await wire.line();
      if (answer[3] === " ") return answer.slice(0, 3);
    }
  };
  await ask("EHLO filter.example");
  for (
    const [client, answer] of [["192.0.2.1", "220"], ["192.0.2.2", "220"], ["192.0.2.1", "421"]] as const
  ) {
    assert.equal(await ask(`XCLIENT ADDR=${client}`), answer, client);
    if (answer === "421") break;
    await ask("EHLO filter.example");
    await ask("MAIL FROM:<>");
    for (let at = 0; at < (client.endsWith("1") ? 4 : 1); at++) {
      await ask(`RCPT TO:<nobody${at}@example.test>`);
    }
    await ask("RSET");
  }
  wire.close();
  assert.equal(await banned(server), false);
});

/** Breaks the protocol until the server has had enough. */
async function abuse(server: RunningServer, protocol: Protocol): Promise<void> {
  const [wire] = await from(server, protocol);
  try {
    for (let at = 0; at < 40; at++) {
      await wire.write("nonsense\r\n");
      await wire.line();
    }
    assert.fail(`${protocol} takes nonsense for ever`);
  } catch (error) {
    if (!(error instanceof WireClosed)) throw error;
  } finally {
    wire.close();
  }
}

for (const protocol of ["smtp", "imap", "pop3"] as const) {
  inBothShapes(`breaking ${protocol} bans an address from every port`, async (start) => {
    await using server = await start({ config: config("offences: 4, allow: []") });
    await abuse(server, protocol);
    assert.equal(await banned(server), false, "once is an accident");
    await abuse(server, protocol);
    assert.equal(await banned(server), true);
  });
}

inBothShapes("who brings long lists and large messages is no enemy, and is told the limit", async (start) => {
  const limits = { ...DEFAULT_LIMITS, recipients: 2, messageOctets: 1_000 };
  await using server = await start({ config: config("offences: 2, allow: []", { limits }) });
  const [wire] = await from(server, "smtp");
  const ask = async (line: string) => {
    await wire.write(`${line}\r\n`);
    for (;;) {
      const answer = await wire.line();
      if (answer[3] === " ") return answer.slice(0, 9);
    }
  };
  await ask("EHLO a.example");
  assert.equal(await ask("MAIL FROM:<x@far.test> SIZE=2000"), "552 5.3.4");
  assert.equal(await ask("MAIL FROM:<x@far.test> SIZE=3000"), "552 5.3.4");
  await ask("MAIL FROM:<x@far.test>");
  const answers = [];
  for (let at = 0; at < 6; at++) answers.push(await ask(`RCPT TO:<${ALICE}>`));
  assert.deepEqual(new Set(answers.slice(2)), new Set(["452 4.5.3"]));
  wire.close();
  assert.equal(await banned(server), false);
});

for (const protocol of ["submission", "imap", "pop3"] as const) {
  inBothShapes(`guessing users of ${protocol} bans like guessing passwords`, async (start) => {
    await using server = await start({ config: config("offences: 3, allow: []") });
    for (let at = 0; at < 3; at++) {
      const [wire] = await from(server, protocol);
      const plain = btoa(`\0nobody${at}@example.test\0x`);
      switch (protocol) {
        case "submission":
          await wire.write(`EHLO a.example\r\nAUTH PLAIN ${plain}\r\n`);
          while (!/^[45]\d\d /.test(await wire.line()));
          break;
        case "imap":
          await wire.write(`a AUTHENTICATE PLAIN ${plain}\r\n`);
          assert.match(await wire.line(), /^a NO \[AUTHENTICATIONFAILED\]/);
          break;
        case "pop3":
          await wire.write(`AUTH PLAIN ${plain}\r\n`);
          assert.match(await wire.line(), /^-ERR \[AUTH\]/);
      }
      wire.close();
    }
    assert.equal(await banned(server), true);
  });
}

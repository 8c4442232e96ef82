/** Logins besides passwords in clear: SCRAM and client certificates. */
import assert from "node:assert/strict";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { connect } from "node:net";
import tls from "node:tls";
import { makeSelfSigned } from "../../server/certificate.ts";
import { Line } from "../lib/line.ts";
import { inBothShapes, listeners, PASSWORD, RunningServer } from "../lib/running_server.ts";

const decoder = new TextDecoder();

/** The client's side of SCRAM-SHA-256 (RFC 5802 3). */
function scramClient(user: string, password: string) {
  const hmac = (key: Uint8Array, text: string) => createHmac("sha256", key).update(text).digest();
  const bare = `n=${user},r=clientnonce`;
  return {
    first: btoa(`n,,${bare}`),
    final(serverFirst: string) {
      const [, nonce, salt, iterations] = /^r=(.*),s=(.*),i=(\d+)$/.exec(serverFirst)!;
      const salted = pbkdf2Sync(password, Uint8Array.fromBase64(salt!), Number(iterations), 32, "sha256");
      const clientKey = hmac(salted, "Client Key");
      const without = `c=biws,r=${nonce}`;
      const message = `${bare},${serverFirst},${without}`;
      const signature = hmac(createHash("sha256").update(clientKey).digest(), message);
      const proof = clientKey.map((octet, at) => octet ^ signature[at]!);
      return {
        final: btoa(`${without},p=${new Uint8Array(proof).toBase64()}`),
        serverFinal: `v=${new Uint8Array(hmac(hmac(salted, "Server Key"), message)).toBase64()}`,
      };
    },
  };
}

inBothShapes(
  "SCRAM-SHA-256 is offered when the last account has its verifier, and works in all protocols",
  async (start) => {
    await using t = await start({ config: { listeners: listeners("smtp", "submission", "imap", "pop3") } });
    const names = ["alice", "bob", "outside"].map((name) => `${name}@example.test`);
    const ehlo = async () => {
      using line = await Line.tcp(t.port("submission"));
      await line.until(/220 .*\r\n/);
      return await line.ask("EHLO a.example", /250 LIMITS.*\r\n/);
    };
    assert.doesNotMatch(await ehlo(), /SCRAM/);
    for (const name of names) {
      using line = await Line.tcp(t.port("submission"));
      await line.until(/220 .*\r\n/);
      await line.ask("EHLO a.example", /250 LIMITS.*\r\n/);
      await line.ask(`AUTH PLAIN ${btoa(`\0${name}\0${PASSWORD}`)}`, /[25]35 .*\r\n/);
    }
    for (let tries = 0; !/AUTH SCRAM-SHA-256 PLAIN/.test(await ehlo()); tries++) {
      assert.ok(tries < 100, "never offered");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const ways = [
      [
        "submission",
        "EHLO a.example",
        /250 LIMITS.*\r\n/,
        "AUTH SCRAM-SHA-256 ",
        /334 (.*)\r\n/,
        /235 .*\r\n/,
        /535 .*\r\n/,
      ],
      [
        "imap",
        "a CAPABILITY",
        /a OK.*\r\n/,
        "b AUTHENTICATE SCRAM-SHA-256 ",
        /\+ (.*)\r\n/,
        /b OK.*\r\n/,
        /b NO.*\r\n/,
      ],
      ["pop3", "CAPA", /\r\n\.\r\n/, "AUTH SCRAM-SHA-256 ", /\+ (.*)\r\n/, /\+OK.*\r\n/, /-ERR.*\r\n/],
    ] as const;
    for (const [protocol, hello, answered, auth, challenge, done, refused] of ways) {
      const begin = async (user: string, password: string) => {
        const line = await Line.tcp(t.port(protocol));
        await line.until(/\r\n/);
        assert.match(await line.ask(hello, answered), /SCRAM-SHA-256/, protocol);
        const client = scramClient(user, password);
        const first = atob(challenge.exec(await line.ask(auth + client.first, challenge))![1]!);
        return { line, first, ...client.final(first) };
      };
      const right = await begin("alice@example.test", PASSWORD);
      using line = right.line;
      assert.equal(atob(challenge.exec(await line.ask(right.final, challenge))![1]!), right.serverFinal);
      await line.ask("", done);
      const wrong = await begin("alice@example.test", "other");
      using again = wrong.line;
      await again.ask(wrong.final, refused);
      const salts = [];
      for (let i = 0; i < 2; i++) {
        const stranger = await begin("nobody@example.test", "x");
        using unknown = stranger.line;
        salts.push(/s=(.*)/.exec(stranger.first)![1]);
        await unknown.ask("*", /\r\n/);
      }
      assert.equal(salts[0], salts[1], "the salt of a stranger is stable");
    }
  },
);

Deno.test("EXTERNAL logs in by the fingerprint of a client certificate, and only with one that is known", async () => {
  const known = await makeSelfSigned({ names: ["alice.example.test"], now: Date.now() });
  const other = await makeSelfSigned({ names: ["other.example.test"], now: Date.now() });
  await using t = await RunningServer.start({
    threads: 0,
    config: {
      listeners: listeners({ protocol: "submissions", tls: "full", clientCertificates: true }, "submission"),
    },
  });
  const fingerprint = createHash("sha256").update(
    Uint8Array.fromBase64(known.certificatePem.replace(/-----[^-]+-----|\s/g, "")),
  ).digest("hex");
  const put = await t.server.writer.submit({ kind: "put-certificate", fingerprint, accountId: 1, note: "" });
  assert.ok(put.ok);
  const afterStartTls = async () => {
    const socket = connect(t.port("submission"), "127.0.0.1");
    for (
      const [command, answer] of [["", /220 .*\r\n/], ["EHLO a.example", /250 LIMITS.*\r\n/], [
        "STARTTLS",
        /220 /,
      ]] as const
    ) {
      if (command !== "") socket.write(`${command}\r\n`);
      let text = "";
      while (!answer.test(text)) {
        text += await new Promise<string>((resolve) =>
          socket.once("data", (data: Uint8Array) => resolve(decoder.decode(data)))
        );
      }
    }
    return socket;
  };
  const talk = async (
    certificate: { certificatePem: string; keyPem: string } | null,
    authzid: string,
    way: "implicit" | "starttls" = "implicit",
  ) => {
    const socket = tls.connect({
      ...(way === "implicit"
        ? { host: "127.0.0.1", port: t.port("submissions") }
        : { socket: await afterStartTls() }),
      rejectUnauthorized: false,
      ...(certificate !== null && { cert: certificate.certificatePem, key: certificate.keyPem }),
    });
    let text = "";
    socket.on("data", (data: Uint8Array) => text += decoder.decode(data));
    const until = async (pattern: RegExp) => {
      for (let i = 0; !pattern.test(text); i++) {
        assert.ok(i < 400, `no ${pattern} in ${text}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    if (way === "implicit") await until(/220 .*\r\n/);
    socket.write("EHLO a.example\r\n");
    await until(/250 LIMITS.*\r\n/);
    socket.write(`AUTH EXTERNAL ${authzid === "" ? "=" : btoa(authzid)}\r\n`);
    await until(/(?:235|535|504) .*\r\n/);
    socket.destroy();
    return { offered: /AUTH .*EXTERNAL/.test(text), code: Number(/^(235|535|504) /m.exec(text)![1]) };
  };
  assert.deepEqual(await talk(known, ""), { offered: true, code: 235 });
  assert.deepEqual(await talk(known, "bob@example.test"), { offered: true, code: 535 });
  assert.deepEqual(await talk(other, ""), { offered: true, code: 535 });
  assert.deepEqual(await talk(null, ""), { offered: false, code: 504 });
  assert.deepEqual(await talk(known, "", "starttls"), { offered: true, code: 235 });
  assert.deepEqual(await talk(other, "", "starttls"), { offered: true, code: 535 });
  assert.deepEqual(await talk(null, "", "starttls"), { offered: false, code: 504 });
});

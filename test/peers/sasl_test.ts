/**
 * Programs of others log in by each mechanism and each protocol: swaks, curl, gsasl, imapflow, nodemailer. Right and wrong.
 *
 * The identity provider is a few lines of HTTP; what it says of a token is what RFC 7662 2.2 has.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ImapFlow } from "imapflow";
import nodemailer from "nodemailer";
import { makeSelfSigned } from "../../server/certificate.ts";
import type { Protocol } from "../../server/config/config.ts";
import { DEFAULT_CONFIG, defaultListener } from "../../server/config/defaults.ts";
import { run, until } from "../lib/program.ts";
import { PASSWORD, RunningServer } from "../lib/running_server.ts";

const ALICE = "alice@example.test";
const TOKEN = "ya29.good-token";

const provider = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
  const token = new URLSearchParams(await request.text()).get("token");
  return Response.json(token === TOKEN ? { active: true, email: ALICE } : { active: false });
});
const listener = (protocol: Protocol) => ({
  ...defaultListener(protocol),
  ...{ address: "127.0.0.1", port: 0 },
  ...(protocol === "submissions" && { tls: "full" as const, clientCertificates: true }),
});
const server = await RunningServer.start({
  threads: 0,
  config: {
    listeners: (["submission", "submissions", "imap", "pop3"] as const).map(listener),
    bans: { ...DEFAULT_CONFIG.bans, enabled: false },
    auth: {
      scram: true,
      oauth: {
        introspection: `http://127.0.0.1:${provider.addr.port}/introspect`,
        ...{ jwks: "", clientId: "", clientSecretFile: "", issuer: "", audience: "", claim: "email" },
      },
    },
  },
});
const port = (protocol: Protocol) => String(server.port(protocol));

/** Every account logs in once: SCRAM is offered from then on. */
for (const name of ["alice", "bob", "outside"]) (await server.submission(name)).close();
await until("SCRAM is offered", async () => {
  const { stdout } = await run("swaks", [
    "--server",
    "127.0.0.1",
    "--port",
    port("submission"),
    "--quit",
    "EHLO",
  ]);
  return stdout.includes("SCRAM-SHA-256") ? true : null;
});

Deno.test("swaks: PLAIN and LOGIN", async () => {
  for (const mechanism of ["PLAIN", "LOGIN"]) {
    for (const [password, code] of [[PASSWORD, 235], ["wrong", 535]] as const) {
      const { stdout } = await run("swaks", [
        ...["--server", "127.0.0.1", "--port", port("submission"), "--quit-after", "AUTH"],
        ...["--auth", mechanism, "--auth-user", ALICE, "--auth-password", `${password}`],
      ]);
      assert.match(
        stdout,
        new RegExp(`^<(?:-|\\*\\*) +${code} `, "m"),
        `${mechanism} ${password}\n${stdout}`,
      );
    }
  }
});

/** curl logs in and does the least there is. */
async function curl(protocol: "smtp" | "imap" | "pop3", args: string[]) {
  const { code, stderr } = await run("curl", [
    ...[
      "-v",
      "--silent",
      "--url",
      `${protocol}://127.0.0.1:${port(protocol === "smtp" ? "submission" : protocol)}/`,
    ],
    ...(protocol === "smtp" ? ["--request", "NOOP"] : []),
    ...args,
  ]);
  return { worked: code === 0, stderr };
}

for (const protocol of ["smtp", "imap", "pop3"] as const) {
  for (const mechanism of protocol === "smtp" ? ["PLAIN", "LOGIN"] : ["PLAIN"]) {
    Deno.test(`curl: ${mechanism} by ${protocol}`, async () => {
      for (const [password, worked] of [[PASSWORD, true], ["wrong", false]] as const) {
        const done = await curl(protocol, [
          "--user",
          `${ALICE}:${password}`,
          "--login-options",
          `AUTH=${mechanism}`,
        ]);
        assert.equal(done.worked, worked, done.stderr);
        assert.match(done.stderr, new RegExp(`^> .*AUTH\\S* ${mechanism}`, "m"));
      }
    });
  }
  // curl has XOAUTH2 too, and takes the other where both are offered.
  Deno.test(`curl: OAUTHBEARER by ${protocol}, and a token that is refused`, async () => {
    for (const [token, worked] of [[TOKEN, true], ["stale", false]] as const) {
      const done = await curl(protocol, ["--user", ALICE, "--oauth2-bearer", `${token}`]);
      assert.equal(done.worked, worked, done.stderr);
      assert.match(done.stderr, /^> .*AUTH\S* OAUTHBEARER/m);
    }
  });
}

for (const protocol of ["smtp", "imap"] as const) {
  Deno.test(`gsasl: SCRAM-SHA-256 by ${protocol}, both sides shown`, async () => {
    const log = async (password: string) =>
      await run("gsasl", [
        ...[`--${protocol}`, `--connect=127.0.0.1:${port(protocol === "smtp" ? "submission" : "imap")}`],
        ...["--no-starttls", "--mechanism=SCRAM-SHA-256", `--authentication-id=${ALICE}`, "--no-cb"],
        ...[`--authorization-id=${ALICE}`, `--password=${password}`],
      ], { stdin: "" });
    const right = await log(PASSWORD);
    assert.match(right.stdout, protocol === "smtp" ? /^235 /m : /^\. OK /m, right.stdout + right.stderr);
    assert.equal(right.code, 0, right.stderr);
    const wrong = await log("wrong");
    assert.doesNotMatch(wrong.stdout, /^235 |^\. OK .*Logged/m);
    assert.notEqual(wrong.code, 0);
  });
}

Deno.test("imapflow: PLAIN, LOGIN, and a token; a refused one is told apart", async () => {
  const open = async (auth: Record<string, string>) => {
    const client = new ImapFlow({
      ...{ host: "127.0.0.1", port: server.port("imap"), secure: false, doSTARTTLS: false, logger: false },
      auth: { user: ALICE, ...auth },
    });
    await client.connect();
    const { path } = await client.mailboxOpen("INBOX");
    await client.logout();
    return path;
  };
  for (const loginMethod of ["AUTH=PLAIN", "LOGIN"]) {
    assert.equal(await open({ pass: PASSWORD, loginMethod }), "INBOX");
    await assert.rejects(open({ pass: "wrong", loginMethod }));
  }
  assert.equal(await open({ accessToken: TOKEN }), "INBOX");
  await assert.rejects(open({ accessToken: "stale" }), (error: { oauthError?: { status: string } }) => {
    assert.match(String(error.oauthError?.status), /^(invalid_token|401)$/);
    return true;
  });
});

Deno.test("nodemailer: PLAIN, LOGIN and XOAUTH2", async () => {
  const verify = async (auth: Record<string, string>, authMethod: string) => {
    const transport = nodemailer.createTransport({
      ...{ host: "127.0.0.1", port: server.port("submission"), secure: false, ignoreTLS: true, authMethod },
      auth: { user: ALICE, ...auth } as never,
    });
    try {
      return await transport.verify();
    } finally {
      transport.close();
    }
  };
  for (const method of ["PLAIN", "LOGIN"]) {
    assert.equal(await verify({ pass: PASSWORD }, method), true);
    await assert.rejects(verify({ pass: "wrong" }, method), /535/);
  }
  assert.equal(await verify({ type: "OAuth2", accessToken: TOKEN }, "XOAUTH2"), true);
  await assert.rejects(verify({ type: "OAuth2", accessToken: "stale" }, "XOAUTH2"));
});

Deno.test("curl: EXTERNAL by a client certificate, and none by another", async () => {
  const folder = await Deno.makeTempDir();
  const fingerprints: string[] = [];
  for (const name of ["known", "other"]) {
    const { certificatePem, keyPem } = await makeSelfSigned({
      names: [`${name}.example.test`],
      now: Date.now(),
    });
    await Deno.writeTextFile(`${folder}/${name}.pem`, certificatePem);
    await Deno.writeTextFile(`${folder}/${name}.key`, keyPem);
    const der = Uint8Array.fromBase64(certificatePem.replace(/-----[^-]+-----|\s/g, ""));
    fingerprints.push(createHash("sha256").update(der).digest("hex"));
  }
  const [fingerprint = ""] = fingerprints;
  await server.server.writer.submit({ kind: "put-certificate", fingerprint, accountId: 1, note: "" });
  for (const [name, worked] of [["known", true], ["other", false]] as const) {
    const { code, stderr } = await run("curl", [
      ...["-v", "-k", "--silent", "--url", `smtps://127.0.0.1:${port("submissions")}/`, "--request", "NOOP"],
      ...["--cert", `${folder}/${name}.pem`, "--key", `${folder}/${name}.key`],
      ...["--user", `${ALICE}:`, "--login-options", "AUTH=EXTERNAL"],
    ]);
    assert.equal(code === 0, worked, stderr);
    assert.match(stderr, /^> AUTH EXTERNAL/m);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the server and the provider end", async () => {
  await server.stop();
  await provider.shutdown();
});

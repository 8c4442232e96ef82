/** TLS of the running server: names choose certificates, a reload brings new ones, old versions are refused. */
import assert from "node:assert/strict";
import tls from "node:tls";
import { makeSelfSigned } from "../../server/certificate.ts";
import type { ListenerConfig, Protocol } from "../../server/config/config.ts";
import { defaultListener } from "../../server/config/defaults.ts";
import { inBothShapes, type RunningServer } from "../lib/running_server.ts";
import { run, until } from "../lib/program.ts";
import { Wire } from "../lib/wire.ts";

const NAMES = ["mx.example.test", "mail.other.test"];

/** A pair of files for each name, made again at each call. */
async function certify(folder: string): Promise<{ certificate: string; key: string; nextKey: string }[]> {
  const files = [];
  for (const name of NAMES) {
    const { certificatePem, keyPem } = await makeSelfSigned({ names: [name, `*.${name}`], now: Date.now() });
    const [certificate, key] = [`${folder}/${name}.crt`, `${folder}/${name}.key`];
    await Deno.writeTextFile(certificate, certificatePem);
    await Deno.writeTextFile(key, keyPem);
    files.push({ certificate, key, nextKey: "" });
  }
  return files;
}

const listener = (protocol: Protocol, more: Partial<ListenerConfig> = {}): ListenerConfig => ({
  ...defaultListener(protocol),
  ...{ address: "127.0.0.1", port: 0, ...more },
});

interface Shown {
  readonly fingerprint: string;
  readonly names: string;
}

/** The certificate that a client asking for `servername` is shown, on implicit TLS or after STARTTLS. */
async function shown(server: RunningServer, protocol: Protocol, servername: string): Promise<Shown> {
  const port = String(server.port(protocol));
  const starttls = protocol === "smtp" || protocol === "imap" || protocol === "pop3";
  const { stdout } = await run("openssl", [
    ...["s_client", "-connect", `127.0.0.1:${port}`, "-showcerts"],
    ...(servername === "" ? ["-noservername"] : ["-servername", servername]),
    ...(starttls ? ["-starttls", protocol] : []),
  ], { stdin: "" });
  const pem = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/.exec(stdout)?.[0] ?? "";
  const { stdout: text } = await run("openssl", [
    "x509",
    "-noout",
    "-fingerprint",
    "-sha256",
    "-ext",
    "subjectAltName",
  ], {
    stdin: pem,
  });
  return { fingerprint: /Fingerprint=(\S+)/i.exec(text)?.[1] ?? "", names: /DNS:.*/.exec(text)?.[0] ?? "" };
}

inBothShapes(
  "several certificates by SNI, and others after a reload, without losing a session",
  async (start) => {
    const folder = await Deno.makeTempDir();
    await using server = await start({
      config: {
        certificates: await certify(folder),
        listeners: [
          ...[listener("smtp"), listener("imap"), listener("pop3"), listener("submissions", { tls: "full" })],
          listener("imaps", { tls: "compact" }),
        ],
      },
    });
    const ways = ["smtp", "imap", "pop3", "submissions"] as const;
    const before = new Map<string, string>();
    for (const protocol of ways) {
      for (
        const [servername, name] of [[NAMES[1]!, NAMES[1]!], ["x.mail.other.test", NAMES[1]!], [
          "",
          NAMES[0]!,
        ]] as const
      ) {
        const { names, fingerprint } = await shown(server, protocol, servername);
        assert.ok(names.includes(`DNS:${name}`), `${protocol} ${servername}: ${names}`);
        before.set(`${protocol} ${servername}`, fingerprint);
      }
    }
    // tls: compact takes the first, whoever is asked for.
    const compact = await shown(server, "imaps", NAMES[1]!);
    assert.ok(compact.names.includes(NAMES[0]!), compact.names);
    const session = await Wire.connect(server.port("smtp"));
    await session.line();
    await certify(folder);
    assert.deepEqual(await server.server.reload(server.server.config), []);
    await until("the new certificate on every port", async () => {
      const now = await shown(server, "imaps", "");
      return now.fingerprint !== compact.fingerprint && now.fingerprint !== "" ? true : null;
    });
    for (const protocol of ways) {
      for (const servername of [NAMES[1]!, ""]) {
        const { fingerprint } = await shown(server, protocol, servername);
        assert.notEqual(fingerprint, "", protocol);
        assert.notEqual(fingerprint, before.get(`${protocol} ${servername}`), `${protocol} ${servername}`);
      }
    }
    await session.write("NOOP\r\n");
    assert.match(await session.line(), /^250 /);
    session.close();
    // A key that does not fit changes nothing.
    const good = await shown(server, "smtp", "");
    await Deno.writeTextFile(
      `${folder}/${NAMES[0]}.key`,
      await Deno.readTextFile(`${folder}/${NAMES[1]}.key`),
    );
    await assert.rejects(server.server.reload(server.server.config));
    assert.deepEqual(await shown(server, "smtp", ""), good);
    await Deno.remove(folder, { recursive: true });
  },
);

inBothShapes(
  "TLS 1.2 and 1.3, nothing older, on implicit TLS of both kinds and after STARTTLS",
  async (start) => {
    await using server = await start({
      config: {
        listeners: [
          listener("smtp"),
          listener("submissions", { tls: "full" }),
          listener("imaps", { tls: "compact" }),
        ],
      },
    });
    const counts = async () =>
      new Map(
        [...(await server.server.metricsText()).matchAll(/^(veredus_tls_\w+\{.*\}) (\d+)$/gm)]
          .map(([, of, count]) => [of!, Number(count)]),
      );
    const before = await counts();
    for (const protocol of ["smtp", "submissions", "imaps"] as const) {
      for (
        const [version, answered] of [["1", false], ["1_1", false], ["1_2", true], ["1_3", true]] as const
      ) {
        const { stdout } = await run("openssl", [
          ...["s_client", "-connect", `127.0.0.1:${server.port(protocol)}`, `-tls${version}`],
          ...["-cipher", "ALL:@SECLEVEL=0", ...(protocol === "smtp" ? ["-starttls", "smtp"] : [])],
        ], { stdin: "" });
        const agreed = /^ *(?:New|Protocol *:).*(TLSv1\.[23])/m.test(stdout) &&
          /Cipher is (?!\(NONE\))/.test(stdout);
        assert.equal(agreed, answered, `${protocol} ${version}: ${stdout.slice(-600)}`);
      }
    }
    const now = await counts();
    const since = (of: string) => (now.get(of) ?? 0) - (before.get(of) ?? 0);
    const sessions = ["TLSv1.2", "TLSv1.3", "unknown", "failed"].map((version) =>
      since(`veredus_tls_sessions_total{version="${version}"}`)
    );
    assert.deepEqual(sessions, [2, 2, 2, 6], "two of the ports tell the version");
    for (const protocol of ["submissions", "imaps"]) {
      assert.equal(since(`veredus_tls_handshake_failures_total{protocol="${protocol}"}`), 2, protocol);
    }
  },
);

inBothShapes(
  "a client certificate is asked for where the listener says so, and needed nowhere",
  async (start) => {
    await using server = await start({
      config: { listeners: [listener("submissions", { tls: "full", clientCertificates: true })] },
    });
    const own = await makeSelfSigned({ names: ["client.example.test"], now: Date.now() });
    for (const certificate of [{}, { cert: own.certificatePem, key: own.keyPem }]) {
      const line = await new Promise<string>((resolve, reject) => {
        const socket = tls.connect({
          ...{ host: "127.0.0.1", port: server.port("submissions"), rejectUnauthorized: false },
          ...certificate,
        });
        socket.once("data", (data: Uint8Array) => {
          resolve(new TextDecoder().decode(data));
          socket.destroy();
        });
        socket.once("error", reject);
      });
      assert.match(line, /^220 /);
    }
  },
);

/**
 * Second opinions about signatures, seals and SPF: dkimpy and pyspf of Debian, and opendkim. What we sign verifies there,
 * what dkimpy signs verifies here. All ask one real DNS server (nsd) for the records.
 */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { ArcVerifier } from "../../mailauth/arc.ts";
import { sealHeader } from "../../mailauth/arc_seal.ts";
import { BodyHash } from "../../mailauth/dkim_canonical.ts";
import { signHeader } from "../../mailauth/dkim_sign.ts";
import { DkimVerifier } from "../../mailauth/dkim_verify.ts";
import type { SigningKey } from "../../mailauth/sign_octets.ts";
import { checkSpf } from "../../mailauth/spf.ts";
import { DEFAULT_RESOLVER } from "../../server/config/defaults.ts";
import { createResolver } from "../../server/resolver.ts";
import { Nsd } from "../lib/nsd.ts";
import { freePort } from "../lib/ports.ts";

const SCRIPT = new URL("./sender_auth.py", import.meta.url).pathname;
const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ED = generateKeyPairSync("ed25519");
const RSA_PEM = RSA.privateKey.export({ format: "pem", type: "pkcs1" }).toString();
/** dkimpy takes the seed itself. */
const ED_SEED = ED.privateKey.export({ format: "der", type: "pkcs8" }).subarray(16).toString("base64");
/** TXT records of the zone `example` (libunbound of opendkim answers for `test` itself). */
const ZONE: Record<string, string> = {
  "r._domainkey.a": `v=DKIM1; k=rsa; p=${
    RSA.publicKey.export({ format: "der", type: "spki" }).toString("base64")
  }`,
  "e._domainkey.a": `v=DKIM1; k=ed25519; p=${
    ED.publicKey.export({ format: "der", type: "spki" }).subarray(12).toString("base64")
  }`,
  "one": "v=spf1 ip4:192.0.2.0/25 -all",
  "two": "v=spf1 include:one.example ~all",
  "three": "v=spf1 ?ip4:192.0.2.1 redirect=one.example",
  "bad": "v=spf1 ip4:nonsense -all",
  "loop": "v=spf1 include:loop.example -all",
  "named": "v=spf1 mx a:host.named.example exists:%{i}.list.example -all",
};
const MORE = ["named MX 10 mx.named", "mx.named A 192.0.2.200", "host.named AAAA 2001:db8::1"];
const ADDRESS = "127.0.58.1";
/** opendkim asks at port 53 alone. */
const ROOT = Deno.uid() === 0;
const PORT = ROOT ? 53 : freePort();
if (!ROOT) console.log("opendkim is skipped: its name server is at port 53, which needs root");
const RESOLVER = createResolver({ ...DEFAULT_RESOLVER, servers: [`${ADDRESS}:${PORT}`], timeoutMs: 5_000 });
const KEYS: SigningKey[] = [
  { domain: "a.example", selector: "r", kind: "rsa", key: RSA.privateKey },
  { domain: "a.example", selector: "e", kind: "ed25519", key: ED.privateKey },
];
const BODIES = ["Hello  world \t\r\n\r\n.dot\r\n\r\n\r\n", "", "\r\n\r\n", "no line end", "\tx\r\n y  z\r\n"];
const HEADER =
  "From: =?utf-8?q?J=C3=B6?= <j@a.example>\r\nTo: b@b.example\r\nSubject:  hello \r\n\t world\r\n" +
  "Date: Wed, 1 Jan 2025 00:00:00 +0000\r\nMessage-ID: <1@a.example>\r\n";

function octetsOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function split(message: string): { octets: Uint8Array; header: Uint8Array; bodyAt: number } {
  const octets = octetsOf(message);
  const end = message.indexOf("\r\n\r\n") + 2;
  return { octets, header: octets.subarray(0, end), bodyAt: end + 2 };
}

function bodyHash(message: string): Uint8Array {
  const { octets, bodyAt } = split(message);
  const hash = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  hash.write(octets, bodyAt, octets.length);
  return hash.digest();
}

async function signed(message: string, key: SigningKey): Promise<string> {
  const { header } = split(message);
  return await signHeader(header, { bodyHash: bodyHash(message), key, now: Date.now() }) + message;
}

async function verified(message: string): Promise<string[]> {
  const { octets, header, bodyAt } = split(message);
  const verifier = new DkimVerifier(header);
  verifier.write(octets, bodyAt, octets.length);
  return (await verifier.finish(RESOLVER, Date.now())).map(({ result, text }) => `${result} ${text}`.trim());
}

async function run(
  command: string,
  args: string[],
  input: string,
): Promise<{ code: number; out: string; err: string }> {
  const child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(octetsOf(input));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  return { code, out: new TextDecoder("latin1").decode(stdout), err: new TextDecoder().decode(stderr) };
}

/** Debian's own interpreter: its packages are for that one. */
async function python<T>(request: Record<string, unknown>): Promise<T> {
  const { message, ...rest } = request;
  const whole = {
    ...rest,
    server: { address: ADDRESS, port: PORT },
    ...(typeof message === "string" && { message: octetsOf(message).toBase64() }),
  };
  const { code, out, err } = await run("/usr/bin/python3", [SCRIPT], JSON.stringify(whole));
  assert.equal(code, 0, err);
  return JSON.parse(out) as T;
}

/** In strings of 200 octets: none has more than 255. */
function asked(name: string, work: () => Promise<void>, { ignore = false } = {}): void {
  const lines = Object.entries(ZONE).map(([owner, record]) =>
    `${owner} TXT ${record.match(/.{1,200}/g)!.map((part) => `"${part}"`).join(" ")}`
  );
  Deno.test({
    name,
    ignore,
    fn: async () => {
      const nsd = await Nsd.start({ example: [...lines, ...MORE].join("\n") }, {
        address: ADDRESS,
        port: PORT,
      });
      try {
        await work();
      } finally {
        await nsd.stop();
      }
    },
  });
}

const text = (base64: string) => new TextDecoder("latin1").decode(Uint8Array.fromBase64(base64));

asked("dkimpy verifies what we sign, RSA and Ed25519, and takes no changed message", async () => {
  for (const body of BODIES) {
    let message = `${HEADER}\r\n${body}`;
    for (const key of KEYS) message = await signed(message, key);
    assert.deepEqual(await python({ do: "verify", message }), [true, true], JSON.stringify(body));
  }
  const message = (await signed(`${HEADER}\r\nHello\r\n`, KEYS[0]!)).replace("Hello", "Bye");
  assert.deepEqual(await python({ do: "verify", message }), [false]);
});

asked("we verify what dkimpy signs, in every canonical form", async () => {
  for (const body of BODIES.filter((one) => one.endsWith("\r\n"))) {
    for (
      const [algorithm, selector, key] of [["rsa-sha256", "r", RSA_PEM], ["ed25519-sha256", "e", ED_SEED]]
    ) {
      for (const forms of [["relaxed", "relaxed"], ["simple", "simple"], ["relaxed", "simple"]]) {
        const message = `${HEADER}\r\n${body}`;
        const made = await python<string>({
          do: "sign",
          message,
          algorithm,
          selector,
          key,
          domain: "a.example",
          forms,
        });
        assert.deepEqual(
          await verified(text(made)),
          ["pass"],
          `${algorithm} ${forms} ${JSON.stringify(body)}`,
        );
      }
    }
  }
});

asked("dkimpy takes our seals, and we take its", async () => {
  const message = await signed(`${HEADER}\r\nHello\r\n`, KEYS[0]!);
  const { octets, header, bodyAt } = split(message);
  const verifier = new ArcVerifier(header);
  verifier.write(octets, bodyAt, octets.length);
  const seal = await sealHeader({
    ...{ header, bodyHash: bodyHash(message), chain: await verifier.finish(RESOLVER) },
    ...{ results: "mx.a.example; dkim=pass header.d=a.example", key: KEYS[0]!, now: Date.now() },
  });
  const [status, reason] = await python<[string, string]>({ do: "arc-verify", message: seal + message });
  assert.equal(status, "pass", reason);
  const marked =
    `Authentication-Results: fwd.example; arc=pass; dkim=pass header.d=a.example\r\n${seal}${message}`;
  const made = text(
    await python<string>({
      ...{
        do: "arc-seal",
        message: marked,
        selector: "r",
        key: RSA_PEM,
        domain: "a.example",
        authserv: "fwd.example",
      },
    }),
  );
  const whole = split(made);
  const theirs = new ArcVerifier(whole.header);
  theirs.write(whole.octets, whole.bodyAt, whole.octets.length);
  const result = await theirs.finish(RESOLVER);
  assert.deepEqual([result.result, result.sets.length], ["pass", 2], result.text);
});

asked("pyspf sees what we see", async () => {
  const names = Object.keys(ZONE).filter((name) => !name.includes(".")).map((name) => `${name}.example`);
  const questions = ["192.0.2.1", "192.0.2.200", "2001:db8::1"].flatMap((address) =>
    [...names, "none.example"].map((name) => [address, `x@${name}`, "helo.example"] as const)
  );
  const theirs = await python<string[]>({ do: "spf", questions });
  for (const [at, [address, sender, helo]] of questions.entries()) {
    const domain = sender.slice(2);
    const { result } = await checkSpf(RESOLVER, {
      address,
      domain,
      sender,
      helo,
      receiver: "mx.example",
      now: 0,
    });
    assert.equal(result, theirs[at], `${address} ${sender}`);
  }
});

asked("opendkim verifies what we sign; what it signs by SHA-1 is refused", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/key`, RSA_PEM, { mode: 0o600 });
    await Deno.writeTextFile(
      `${folder}/conf`,
      `Mode v\nSyslog no\nRequireSafeKeys no\nNameservers ${ADDRESS}\nOn-BadSignature reject\n`,
    );
    const message = await signed(`${HEADER}\r\nHello  there\r\n`, KEYS[0]!);
    const judged = async (text: string) => {
      await Deno.writeFile(`${folder}/message`, octetsOf(text.replaceAll("\r\n", "\n")));
      const { out, err } = await run("/usr/sbin/opendkim", [
        "-x",
        `${folder}/conf`,
        "-t",
        `${folder}/message`,
        "-v",
      ], "");
      return out + err;
    };
    assert.match(await judged(message), /verification (\(s=r.*)?succeeded|signature.*(good|ok|pass)/i);
    assert.doesNotMatch(
      await judged(message.replace("Hello", "Bye")),
      /succeeded|signature.*(good|ok|pass)/i,
    );
    // Its tool for tests signs by SHA-1 only, which verifies nothing any more (RFC 8301 3.1).
    const args = ["-C", "-d", "a.example", "-s", "r", "-k", `${folder}/key`];
    const { code, out, err } = await run("/usr/sbin/opendkim-testmsg", args, `${HEADER}\r\nHello  there\r\n`);
    assert.equal(code, 0, err);
    assert.deepEqual(await verified(out), ["permerror SHA-1 is not accepted"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}, { ignore: !ROOT });

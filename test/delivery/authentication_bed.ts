/** A reception that asks who sent a message, with names in its DNS, a sender that signs, and our own key for sealing. */
import { generateKeyPairSync } from "node:crypto";
import type { AuthenticationConfig } from "../../delivery/authentication.ts";
import type { InboundOptions } from "../../delivery/inbound/setting.ts";
import { Blocks } from "../../filter/address_block.ts";
import { ArcVerifier } from "../../mailauth/arc.ts";
import { BodyHash } from "../../mailauth/dkim_canonical.ts";
import { signHeader } from "../../mailauth/dkim_sign.ts";
import type { SigningKey } from "../../mailauth/sign_octets.ts";
import type { WriteOp } from "../../storage/ops.ts";
import { a, type MockEntry, MockResolver, txt } from "../lib/mock_resolver.ts";
import { type Answers, NOW, octetsOf, ReceptionBed } from "./reception_bed.ts";

export const DEFAULT: AuthenticationConfig = {
  ...{ iprev: true, spf: true, dkim: true, arc: true, dmarc: "rfc9989", refuse: "agreed" },
  ...{
    trustedSealers: [],
    knownLists: [],
    relays: new Blocks([]),
    skip: new Blocks([]),
    onDnsTrouble: "deliver",
    timeoutMs: 30_000,
  },
};

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
export const PUBLIC = RSA.publicKey.export({ format: "der", type: "spki" }).toString("base64");
export const GOOD: SigningKey = { domain: "good.test", selector: "s", kind: "rsa", key: RSA.privateKey };
export const NAMED: Record<string, MockEntry> = {
  "1.2.0.192.in-addr.arpa PTR": [{ type: "PTR", target: "client.example" }],
  "client.example A": [a("192.0.2.1")],
  "s._domainkey.good.test TXT": [txt(`v=DKIM1; p=${PUBLIC}`)],
  "s._domainkey.list.test TXT": [txt(`v=DKIM1; p=${PUBLIC}`)],
  "good.test TXT": [txt("v=spf1 ip4:192.0.2.1 -all")],
  "_dmarc.good.test TXT": [txt("v=DMARC1; p=reject")],
  "strict.test TXT": [txt("v=spf1 -all")],
  "_dmarc.strict.test TXT": [txt("v=DMARC1; p=reject")],
  "_dmarc.careful.test TXT": [txt("v=DMARC1; p=quarantine")],
  "_dmarc.open.test TXT": [txt("v=DMARC1; p=none")],
};

export async function withBed(
  entries: Record<string, MockEntry>,
  config: Partial<AuthenticationConfig>,
  use: (bed: ReceptionBed, resolver: MockResolver) => Promise<void>,
  more: Partial<InboundOptions> = {},
): Promise<void> {
  const resolver = new MockResolver(entries);
  const bed = await ReceptionBed.open({ authentication: { ...DEFAULT, ...config } }, {}, {
    resolver,
    ...more,
  });
  try {
    await use(bed, resolver);
  } finally {
    await bed.close();
  }
}

export const letter = (from: string, more = "") =>
  `${more}From: <${from}>\r\nTo: <bob@example.test>\r\nSubject: hello\r\n\r\nHello\r\n`;

export async function signed(message: string, key: SigningKey): Promise<string> {
  const at = message.indexOf("\r\n\r\n") + 2;
  const octets = octetsOf(message);
  const body = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  body.write(octets, at + 2, octets.length);
  return await signHeader(octets.subarray(0, at), { bodyHash: body.digest(), key, now: NOW }) + message;
}

export const send = (bed: ReceptionBed, from: string, message = letter(from)): Promise<Answers> =>
  bed.send({ from, to: ["bob@example.test"], message });

/** What signs and seals for example.test, and where its public half stands. */
export const OWN_KEY: WriteOp = {
  kind: "put-dkim-key",
  key: {
    ...{ domain: "example.test", selector: "s", kind: "rsa", publicKey: PUBLIC, state: "signing" },
    privateKey: RSA.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  },
};
export const SEALING: Record<string, MockEntry> = {
  ...NAMED,
  "s._domainkey.example.test TXT": [txt(`v=DKIM1; p=${PUBLIC}`)],
};

/** A verifier that has read a whole message. */
export function read<T extends { write(octets: Uint8Array, from: number, to: number): void }>(
  message: string,
  Verifier: new (header: Uint8Array) => T,
): T {
  const octets = octetsOf(message);
  const bodyAt = message.indexOf("\r\n\r\n") + 4;
  const verifier = new Verifier(octets.subarray(0, bodyAt - 2));
  verifier.write(octets, bodyAt, octets.length);
  return verifier;
}

export const sealsOf = (message: string) => read(message, ArcVerifier).finish(new MockResolver(SEALING));

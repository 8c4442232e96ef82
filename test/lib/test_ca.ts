/** A certificate authority for tests: root, one below it, and servers, valid or not. */
import "npm:reflect-metadata@0.2.2";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY = 86_400_000;
let serial = 0;

export interface Issued {
  readonly certificate: x509.X509Certificate;
  readonly keys: CryptoKeyPair;
  readonly der: Uint8Array;
  readonly pem: string;
  readonly keyPem: string;
  /** SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
}

export interface IssueOptions {
  readonly name: string;
  /** Subject alternative names; left out: none at all. */
  readonly dns?: readonly string[];
  /** Null: signs itself. */
  readonly by: Issued | null;
  readonly ca?: boolean;
  /** Days from now. */
  readonly from?: number;
  readonly to?: number;
}

export async function issue(
  { name, dns, by, ca = false, from = -1, to = 30 }: IssueOptions,
): Promise<Issued> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]) as CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: String(++serial).padStart(4, "0"),
    subject: `CN=${name}`,
    issuer: by?.certificate.subject ?? `CN=${name}`,
    notBefore: new Date(Date.now() + from * DAY),
    notAfter: new Date(Date.now() + to * DAY),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: (by?.keys ?? keys).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(ca, undefined, true),
      ...(dns === undefined
        ? []
        : [new x509.SubjectAlternativeNameExtension(dns.map((value) => ({ type: "dns" as const, value })))]),
    ],
  });
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  return {
    certificate,
    keys,
    der: new Uint8Array(certificate.rawData),
    pem: certificate.toString("pem"),
    keyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8.toBase64()}\n-----END PRIVATE KEY-----\n`,
    spki: new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey)),
  };
}

/**
 * Certificates: PEM pairs from the configuration, and the self-signed one of local mode.
 *
 * A certificate is plain data, so that main can load it once and hand it to every thread. The self-signed pair
 * (P-256, {@linkcode SELF_SIGNED_DAYS} days) lives in the data folder, its key readable by the owner only, and is
 * made again when it has ended or its names changed.
 */
import { createHash, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { join } from "node:path";

export interface Certificate {
  /** DNS names and IP addresses it is valid for, lower case, with `*.` wildcards. */
  readonly names: readonly string[];
  /** Leaf first, then intermediates. */
  readonly certificatePem: string;
  readonly keyPem: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** A file of the certificate cannot be used; the message names it. */
export class CertificateError extends Error {
  override readonly name = "CertificateError";
}

/** Days a self-signed certificate is valid. */
const SELF_SIGNED_DAYS = 3_650;

/** Reads a pair of PEM files. Throws {@linkcode CertificateError}. */
export function loadCertificate(certificateFile: string, keyFile: string): Certificate {
  const certificatePem = readPem(certificateFile);
  const keyPem = readPem(keyFile);
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(keyPem)) {
    throw new CertificateError(`${keyFile}: no private key in PEM form`);
  }
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(certificatePem);
  } catch (error) {
    throw new CertificateError(`${certificateFile}: ${error instanceof Error ? error.message : error}`);
  }
  if (keyDigest(keyFile) !== spkiDigest(leaf.publicKey)) {
    throw new CertificateError(`${keyFile}: not the key of ${certificateFile}`);
  }
  return { names: namesOf(leaf), certificatePem, keyPem, notAfter: Date.parse(leaf.validTo) };
}

/** SHA-256 of the public key of a certificate, or of a key file: what a TLSA record 3 1 1 holds (RFC 6698 2.1). */
export function certificateDigest({ certificatePem }: Certificate): string {
  return spkiDigest(new X509Certificate(certificatePem).publicKey);
}

/** Throws {@linkcode CertificateError}. */
export function keyDigest(keyFile: string): string {
  const pem = readPem(keyFile);
  try {
    return spkiDigest(createPublicKey(pem));
  } catch (error) {
    throw new CertificateError(`${keyFile}: ${error instanceof Error ? error.message : error}`);
  }
}

function spkiDigest(key: KeyObject): string {
  return createHash("sha256").update(key.export({ format: "der", type: "spki" })).digest("hex");
}

/** The self-signed certificate kept in `directory`, made when it is missing, stale or for other names. */
export async function selfSignedCertificate(
  directory: string,
  options: { names: readonly string[]; now: number },
): Promise<Certificate> {
  const certificateFile = join(directory, "self-signed.crt");
  const keyFile = join(directory, "self-signed.key");
  if (exists(certificateFile) && exists(keyFile)) {
    const kept = loadCertificate(certificateFile, keyFile);
    if (kept.notAfter > options.now && options.names.every((name) => kept.names.includes(name))) return kept;
  }
  Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const made = await makeSelfSigned(options);
  // Key first and by rename: a crash in between leaves no certificate without its key.
  writePrivate(keyFile, made.keyPem);
  writePrivate(certificateFile, made.certificatePem);
  return made;
}

/** A fresh self-signed pair, in memory only. The X.509 library is loaded on demand: it costs start time. */
export async function makeSelfSigned(
  options: { names: readonly string[]; now: number },
): Promise<Certificate> {
  await import("npm:reflect-metadata@0.2.2"); // the library's dependency injection asks for it
  const x509 = await import("@peculiar/x509");
  const signingAlgorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(signingAlgorithm, true, ["sign", "verify"]) as CryptoKeyPair;
  const notAfter = options.now + SELF_SIGNED_DAYS * 86_400_000;
  const serial = crypto.getRandomValues(new Uint8Array(16));
  serial[0] = (serial[0]! & 0x7f) | 0x40; // RFC 5280 4.1.2.2: positive, at most 20 octets
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: [...serial].map((octet) => octet.toString(16).padStart(2, "0")).join(""),
    name: `CN=${options.names[0] ?? "localhost"}`,
    notBefore: new Date(options.now - 86_400_000),
    notAfter: new Date(notAfter),
    signingAlgorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        options.names.map((value) => ({ type: isAddress(value) ? "ip" as const : "dns" as const, value })),
      ),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    names: [...options.names],
    certificatePem: certificate.toString("pem") + "\n",
    keyPem: x509.PemConverter.encode(pkcs8, "PRIVATE KEY") + "\n",
    notAfter: Math.floor(notAfter / 1000) * 1000,
  };
}

function namesOf(certificate: X509Certificate): string[] {
  const names: string[] = [];
  for (const entry of (certificate.subjectAltName ?? "").split(", ")) {
    const match = /^(?:DNS|IP Address):(.+)$/.exec(entry);
    if (match?.[1]) names.push(match[1].toLowerCase());
  }
  if (names.length === 0) {
    const common = /(?:^|[\n,])\s*CN=([^\n,]+)/.exec(certificate.subject ?? "");
    if (common?.[1]) names.push(common[1].toLowerCase());
  }
  return names;
}

function readPem(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new CertificateError(`${path}: no such file`);
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new CertificateError(`${path}: not readable by this user`);
    }
    throw error;
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function writePrivate(path: string, text: string): void {
  const fresh = `${path}.new`;
  Deno.writeTextFileSync(fresh, text, { mode: 0o600 });
  Deno.renameSync(fresh, path);
}

/** An IPv4 or IPv6 literal rather than a name. */
function isAddress(value: string): boolean {
  return value.includes(":") || /^\d+(\.\d+){3}$/.test(value);
}

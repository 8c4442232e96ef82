import assert from "node:assert/strict";
import { join } from "node:path";
import {
  CertificateError,
  loadCertificate,
  makeSelfSigned,
  selfSignedCertificate,
} from "../../server/certificate.ts";

Deno.test("the self-signed certificate is kept, private, and made again for new names or after its end", async () => {
  const directory = join(Deno.makeTempDirSync(), "tls");
  try {
    const now = Date.now();
    const made = await selfSignedCertificate(directory, { names: ["localhost", "127.0.0.1", "::1"], now });
    assert.equal(Deno.statSync(join(directory, "self-signed.key")).mode! & 0o777, 0o600);
    assert.equal(Deno.statSync(directory).mode! & 0o777, 0o700);
    const again = await selfSignedCertificate(directory, { names: ["localhost", "127.0.0.1"], now });
    assert.equal(again.certificatePem, made.certificatePem);
    assert.equal(again.notAfter, made.notAfter);
    const wider = await selfSignedCertificate(directory, { names: ["localhost", "mx.example.test"], now });
    assert.notEqual(wider.certificatePem, made.certificatePem);
    assert.ok(wider.names.includes("mx.example.test"));
    const later = await selfSignedCertificate(directory, {
      names: ["localhost"],
      now: now + 11 * 365 * 86_400_000,
    });
    assert.notEqual(later.certificatePem, wider.certificatePem);
  } finally {
    Deno.removeSync(join(directory, ".."), { recursive: true });
  }
});

Deno.test("a loaded certificate says its names", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    const made = await makeSelfSigned({
      names: ["MX.example.test", "*.example.org", "127.0.0.1"],
      now: Date.now(),
    });
    const certificate = join(directory, "c.pem"), key = join(directory, "k.pem");
    Deno.writeTextFileSync(certificate, made.certificatePem);
    Deno.writeTextFileSync(key, made.keyPem);
    const loaded = loadCertificate(certificate, key);
    assert.deepEqual(loaded.names, ["mx.example.test", "*.example.org", "127.0.0.1"]);
    assert.equal(loaded.notAfter, made.notAfter);
    assert.throws(() => loadCertificate(certificate, join(directory, "none.pem")), CertificateError);
    assert.throws(() => loadCertificate(certificate, certificate), /no private key/);
    assert.throws(() => loadCertificate(key, key), CertificateError);
    const other = await makeSelfSigned({ names: ["mx.example.test"], now: Date.now() });
    Deno.writeTextFileSync(key, other.keyPem);
    assert.throws(() => loadCertificate(certificate, key), /k\.pem: not the key of .*c\.pem/);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

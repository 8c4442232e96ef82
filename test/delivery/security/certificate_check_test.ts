/** Certificates against roots, names and TLSA records: every usage, selector and matching, and what must not pass. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  type CertificateCheck,
  certificateProblem,
  isUsable,
  type PeerCertificates,
} from "../../../delivery/security/certificate_check.ts";
import type { DataOf } from "../../../dns/rdata.ts";
import { issue, type Issued } from "../../lib/test_ca.ts";

const root = await issue({ name: "root.test", by: null, ca: true });
const middle = await issue({ name: "middle.test", by: root, ca: true });
const server = await issue({ name: "mx.one.test", dns: ["mx.one.test", "*.wild.test"], by: middle });
const ended = await issue({ name: "mx.one.test", dns: ["mx.one.test"], by: middle, from: -30, to: -2 });
const early = await issue({ name: "mx.one.test", dns: ["mx.one.test"], by: middle, from: 2, to: 9 });
const common = await issue({ name: "mx.one.test", by: middle });
const stranger = await issue({ name: "root.test", by: null, ca: true });
const noAuthority = await issue({ name: "middle.test", by: root });
const belowNoAuthority = await issue({ name: "mx.one.test", dns: ["mx.one.test"], by: noAuthority });

function tlsa(usage: number, selector: number, matching: number, of: Issued): DataOf<"TLSA"> {
  const octets = selector === 0 ? of.der : of.spki;
  const association = matching === 0
    ? octets
    : new Uint8Array(createHash(matching === 1 ? "sha256" : "sha512").update(octets).digest());
  return { type: "TLSA", usage, selector, matching, association };
}

function peer(...chain: Issued[]): PeerCertificates {
  return { chain: chain.map(({ der }) => der), untrusted: null };
}

function dane(...records: DataOf<"TLSA">[]): CertificateCheck {
  return { kind: "dane", records, names: ["mx.one.test", "one.test"] };
}

function result(check: CertificateCheck, shown: PeerCertificates): string {
  return certificateProblem(check, shown, Date.now())?.result ?? "ok";
}

Deno.test("DANE-EE and DANE-TA in every selector and matching", () => {
  const chain = peer(server, middle, root);
  for (const selector of [0, 1]) {
    for (const matching of [0, 1, 2]) {
      const words = `${selector} ${matching}`;
      assert.equal(result(dane(tlsa(3, selector, matching, server)), chain), "ok", `3 ${words}`);
      assert.equal(result(dane(tlsa(2, selector, matching, middle)), chain), "ok", `2 ${words} middle`);
      assert.equal(result(dane(tlsa(2, selector, matching, root)), chain), "ok", `2 ${words} root`);
      assert.equal(
        result(dane(tlsa(3, selector, matching, stranger)), chain),
        "certificate-not-trusted",
        `3 ${words} other`,
      );
      assert.equal(
        result(dane(tlsa(2, selector, matching, stranger)), chain),
        "certificate-not-trusted",
        `2 ${words} other`,
      );
    }
  }
});

Deno.test("DANE: what else counts, and what does not", () => {
  const cases: [string, CertificateCheck, PeerCertificates, string][] = [
    ["one of several records", dane(tlsa(3, 1, 1, stranger), tlsa(3, 1, 1, server)), peer(server), "ok"],
    ["EE: an ended certificate is as good", dane(tlsa(3, 1, 1, ended)), peer(ended), "ok"],
    ["EE: so is one for another name", dane(tlsa(3, 1, 1, stranger)), peer(stranger), "ok"],
    [
      "EE: only the server's own",
      dane(tlsa(3, 1, 1, middle)),
      peer(server, middle),
      "certificate-not-trusted",
    ],
    ["TA: the name counts", dane(tlsa(2, 0, 1, stranger)), peer(stranger), "certificate-host-mismatch"],
    ["TA: the date counts", dane(tlsa(2, 0, 1, middle)), peer(ended, middle), "certificate-not-trusted"],
    ["TA: not yet", dane(tlsa(2, 0, 1, middle)), peer(early, middle), "certificate-not-trusted"],
    [
      "TA: the authority must be sent",
      dane(tlsa(2, 0, 1, root)),
      peer(server, middle),
      "certificate-not-trusted",
    ],
    [
      "TA: a chain with a gap",
      dane(tlsa(2, 0, 1, root)),
      peer(server, root),
      "certificate-not-trusted",
    ],
    [
      "TA: another authority of the same name",
      dane(tlsa(2, 0, 1, stranger)),
      peer(server, middle, stranger),
      "certificate-not-trusted",
    ],
    [
      "TA: an issuer that may not issue",
      dane(tlsa(2, 0, 1, root)),
      peer(belowNoAuthority, noAuthority, root),
      "certificate-not-trusted",
    ],
    ["no certificate", dane(tlsa(3, 1, 1, server)), peer(), "validation-failure"],
    [
      "a certificate that is none",
      dane(tlsa(3, 1, 1, server)),
      { chain: [new Uint8Array(30)], untrusted: null },
      "validation-failure",
    ],
  ];
  for (const [name, check, shown, expected] of cases) assert.equal(result(check, shown), expected, name);
});

Deno.test("trusted roots and names", () => {
  const pkix = (...names: string[]): CertificateCheck => ({ kind: "pkix", names });
  const cases: [string, CertificateCheck, PeerCertificates, string][] = [
    ["its name", pkix("mx.one.test"), peer(server), "ok"],
    ["in any case", pkix("MX.One.Test"), peer(server), "ok"],
    ["one of two", pkix("other.test", "mx.one.test"), peer(server), "ok"],
    ["another", pkix("other.test"), peer(server), "certificate-host-mismatch"],
    ["a wildcard is one label", pkix("a.wild.test"), peer(server), "ok"],
    ["not two", pkix("b.a.wild.test"), peer(server), "certificate-host-mismatch"],
    ["nor none", pkix("wild.test"), peer(server), "certificate-host-mismatch"],
    ["the common name, where there is nothing else", pkix("mx.one.test"), peer(common), "ok"],
    ["ended", pkix("mx.one.test"), peer(ended), "certificate-expired"],
    ["not yet", pkix("mx.one.test"), peer(early), "certificate-not-trusted"],
    [
      "no trusted root",
      pkix("mx.one.test"),
      { ...peer(server), untrusted: "UNKNOWN_ISSUER" },
      "certificate-not-trusted",
    ],
    ["nothing asked", { kind: "none" }, { chain: [], untrusted: "UNKNOWN_ISSUER" }, "ok"],
  ];
  for (const [name, check, shown, expected] of cases) assert.equal(result(check, shown), expected, name);
});

Deno.test("records that SMTP cannot use", () => {
  const good = tlsa(3, 1, 1, server);
  const cases: [Partial<DataOf<"TLSA">>, boolean][] = [
    [{}, true],
    [{ usage: 2 }, true],
    [{ usage: 0 }, false],
    [{ usage: 1 }, false],
    [{ usage: 4 }, false],
    [{ selector: 2 }, false],
    [{ matching: 3 }, false],
    [{ matching: 2 }, false],
    [{ association: new Uint8Array(31) }, false],
    [{ matching: 0, association: new Uint8Array() }, false],
  ];
  for (const [parts, expected] of cases) {
    assert.equal(isUsable({ ...good, ...parts }), expected, JSON.stringify(parts));
  }
});

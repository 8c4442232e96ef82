/** NSEC3 by the example of RFC 5155 appendix A, canonical order by RFC 4034 6.1, and what hashing may cost. */
import assert from "node:assert/strict";
import { chainOf, decodeBase32Hex, encodeBase32Hex, Nsec3Proofs } from "../../../dns/dnssec/nsec3.ts";
import { covers, nsecDenies, nsecOf } from "../../../dns/dnssec/nsec.ts";
import { compareNames } from "../../../dns/name.ts";
import { ResolveError } from "../../../dns/resolver.ts";
import { bitmapHas, bitmapTypes, isTypeBitmap, typeBitmap } from "../../../dns/type_bitmap.ts";
import { Work } from "../../../dns/work.ts";
import { webDnssecCrypto } from "../../../server/dns_crypto.ts";

const SALT = Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd);

function proofs(
  records: readonly (readonly [string, string, number[]])[],
  options: { iterations?: number; flags?: number; hashRounds?: number } = {},
) {
  const { iterations = 12, flags = 0, hashRounds = 4_000 } = options;
  const limits = { queries: 1, serverNames: 1, validations: 1, hashRounds };
  const chain = chainOf(
    records.map(([owner, next, types]) => ({
      owner: `${owner}.example`,
      data: {
        type: "NSEC3",
        hashAlgorithm: 1,
        flags,
        iterations,
        salt: SALT,
        nextHash: decodeBase32Hex(next)!,
        types: typeBitmap(types),
      },
    })),
    "example",
  );
  return new Nsec3Proofs(
    chain,
    "example",
    { crypto: webDnssecCrypto(), work: new Work({ end: 0, limits }) },
  );
}

/** RFC 5155 appendix B.1: a.c.x.w.example does not exist. */
const NAME_ERROR: readonly (readonly [string, string, number[]])[] = [
  ["0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "2t7b4g4vsa5smi47k61mv5bv1a22bojr", [2, 6, 15, 46, 48, 51]],
  ["b4um86eghhds6nea196smvmlo4ors995", "gjeqe526plbf1g8mklp59enfd789njgi", [15, 46]],
  ["35mthgpgcu1qg68fab165klnsnk3dpvl", "b4um86eghhds6nea196smvmlo4ors995", [2, 43, 46]],
];

Deno.test("the proofs of RFC 5155 appendix B", () => {
  assert.deepEqual(proofs(NAME_ERROR).denies({ name: "a.c.x.w.example", type: 1 }), {
    kind: "proved",
    what: "no-such-domain",
  });
  assert.deepEqual(proofs(NAME_ERROR.slice(0, 2)).denies({ name: "a.c.x.w.example", type: 1 }), {
    kind: "missing",
  });
  // B.2: ns1.example has no MX.
  const noData = proofs([["2t7b4g4vsa5smi47k61mv5bv1a22bojr", "2vptu5timamqttgl4luu9kg21e0aor3s", [1, 46]]]);
  assert.deepEqual(noData.denies({ name: "ns1.example", type: 15 }), { kind: "proved", what: "no-data" });
  assert.deepEqual(noData.denies({ name: "ns1.example", type: 1 }), { kind: "missing" });
});

Deno.test("opt-out is no proof, and too many rounds are none", () => {
  assert.deepEqual(proofs(NAME_ERROR, { flags: 1 }).denies({ name: "a.c.x.w.example", type: 1 }), {
    kind: "opt-out",
  });
  assert.deepEqual(proofs(NAME_ERROR, { iterations: 151 }).denies({ name: "a.c.x.w.example", type: 1 }), {
    kind: "too-many-iterations",
  });
});

Deno.test("hashing takes from the purse and ends when it is empty", () => {
  assert.throws(
    () => proofs(NAME_ERROR, { hashRounds: 50 }).denies({ name: `${"a.".repeat(60)}x.w.example`, type: 1 }),
    (error) => error instanceof ResolveError && error.fault === "work-limit",
  );
});

Deno.test("base 32 as RFC 4648 7 has it", () => {
  for (let length = 0; length < 24; length++) {
    const octets = Uint8Array.from({ length }, (_, at) => at * 37 & 0xff);
    assert.deepEqual(decodeBase32Hex(encodeBase32Hex(octets)), octets);
  }
  assert.equal(encodeBase32Hex(new TextEncoder().encode("foobar")), "cpnmuoj1e8");
  assert.equal(decodeBase32Hex("w"), null);
});

Deno.test("names in the order of RFC 4034 6.1", () => {
  const ordered = [
    "example",
    "a.example",
    "yljkjljk.a.example",
    "Z.a.example",
    "zABC.a.EXAMPLE",
    "z.example",
    "\\001.z.example",
    "*.z.example",
    "\\200.z.example",
  ];
  for (let at = 1; at < ordered.length; at++) {
    assert.ok(compareNames(ordered[at - 1]!, ordered[at]!) < 0, `${ordered[at - 1]} before ${ordered[at]}`);
    assert.ok(compareNames(ordered[at]!, ordered[at - 1]!) > 0);
  }
});

Deno.test("records of the parent's side and of a DNAME say nothing about names below", () => {
  const gap = (types: number[]) => nsecOf("cut.test", { next: "z.test", types: typeBitmap(types) });
  assert.equal(covers(gap([2, 46]), "x.cut.test", "test"), false);
  assert.equal(covers(gap([39, 46]), "x.cut.test", "test"), false);
  assert.equal(covers(gap([1, 46]), "x.cut.test", "test"), true);
  assert.equal(covers(gap([2, 46]), "other.test", "test"), true);
  assert.equal(covers(gap([1]), "cut.test", "test"), false);
  assert.equal(covers(gap([1]), "zz.test", "test"), false);
  // The parent's NSEC at a cut denies DS, and nothing else; the child's does not deny DS.
  const question = { name: "cut.test", zone: "test" };
  assert.equal(nsecDenies([gap([2, 46])], { ...question, type: 43 }).kind, "proved");
  assert.equal(nsecDenies([gap([2, 46])], { ...question, type: 1 }).kind, "missing");
  const apex = nsecOf("cut.test", { next: "a.cut.test", types: typeBitmap([2, 6, 46]) });
  assert.equal(nsecDenies([apex], { ...question, zone: "cut.test", type: 43 }).kind, "missing");
  assert.equal(nsecDenies([apex], { ...question, zone: "cut.test", type: 1 }).kind, "proved");
  assert.equal(
    nsecDenies([gap([5, 46])], { ...question, type: 1 }).kind,
    "missing",
    "an alias is no lack of data",
  );
});

Deno.test("type bitmaps", () => {
  const types = [1, 15, 46, 47, 257, 65_280];
  const octets = typeBitmap(types);
  assert.ok(isTypeBitmap(octets));
  assert.deepEqual(bitmapTypes(octets), types);
  for (const type of [...types, 2, 256, 258, 65_535]) {
    assert.equal(bitmapHas(octets, type), types.includes(type));
  }
  for (const bad of [[0], [0, 0], [0, 33], [0, 1], [1, 1, 8, 0, 1, 8], [0, 1, 8, 0, 1, 8]]) {
    assert.equal(isTypeBitmap(Uint8Array.from(bad)), false, String(bad));
  }
});

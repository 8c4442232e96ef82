/** Password hashes: ours, imported ones, and what is refused. */
import assert from "node:assert/strict";
import { ForeignHashes } from "../../auth/foreign_hash.ts";
import { HashBusy, HashWork } from "../../auth/hash_work.ts";
import {
  hashPassword,
  opaqueString,
  parsePasswordHash,
  UnusableHash,
  verifyPassword,
} from "../../auth/password_hash.ts";

const QUICK = { ln: 4, r: 8, p: 1 };
const none = { verify: () => Promise.reject(new Error("not for us")) };

Deno.test("a hash holds its parameters and verifies its password only", async () => {
  const hash = await hashPassword("secret", { parameters: QUICK });
  assert.match(hash, /^\$scrypt\$ln=4,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.equal(await verifyPassword(hash, "secret", none), true);
  for (const wrong of ["Secret", "secret ", "", "secre"]) {
    assert.equal(await verifyPassword(hash, wrong, none), false, wrong);
  }
  assert.notEqual(hash, await hashPassword("secret", { parameters: QUICK }), "the salt is new each time");
});

Deno.test("the key is scrypt's (RFC 7914 12, third vector, first 32 octets)", async () => {
  const salt = new TextEncoder().encode("SodiumChloride");
  const hash = await hashPassword("pleaseletmein", { parameters: { ln: 14, r: 8, p: 1 }, salt });
  const key = Uint8Array.from(atob(hash.split("$")[4]! + "="), (c) => c.charCodeAt(0));
  assert.equal(
    [...key].map((octet) => octet.toString(16).padStart(2, "0")).join(""),
    "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2",
  );
});

Deno.test("our scheme prepares the password as an OpaqueString (RFC 8265 4.2.2)", async () => {
  const hash = await hashPassword("caf\u00e9 \u3000x", { parameters: QUICK });
  assert.equal(await verifyPassword(hash, "cafe\u0301  x", none), true);
  assert.equal(opaqueString("plain"), "plain");
});

Deno.test("imported bcrypt and argon2id hashes verify, off this thread", async () => {
  const foreign = new ForeignHashes();
  try {
    const { bcrypt, argon2id } = await import("hash-wasm");
    const salt = new Uint8Array(16).fill(7);
    const encoded = await bcrypt({ password: "secret", salt, costFactor: 5, outputType: "encoded" });
    for (const prefix of ["$2a$", "$2b$", "$2y$"]) {
      const hash = encoded.replace("$2a$", prefix);
      assert.equal(await verifyPassword(hash, "secret", foreign), true, prefix);
      assert.equal(await verifyPassword(hash, "wrong", foreign), false, prefix);
      assert.equal(await verifyPassword(hash, "", foreign), false, prefix);
    }
    const long = await bcrypt({ password: "p".repeat(72), salt, costFactor: 5, outputType: "encoded" });
    assert.equal(await verifyPassword(long, "p".repeat(100), foreign), true, "bcrypt looks at 72 octets");
    const argon = await argon2id({
      password: "secret",
      salt,
      iterations: 1,
      memorySize: 64,
      parallelism: 1,
      hashLength: 32,
      outputType: "encoded",
    });
    assert.equal(await verifyPassword(argon, "secret", foreign), true);
    assert.equal(await verifyPassword(argon, "wrong", foreign), false);
  } finally {
    foreign.close();
  }
});

Deno.test("a hash nobody can verify is our fault, not a wrong password", () => {
  const table = [
    "",
    "plain",
    "$1$salt$hash",
    "$scrypt$ln=15,r=8,p=1$short$x",
    "$scrypt$ln=40,r=8,p=1$abcdefghijklmnopqrstuv$abcdefghijklmnopqrstuvabcdefghijklmnopqrstuv",
    "$scrypt$ln=15,r=8,p=99$abcdefghijklmnopqrstuv$abcdefghijklmnopqrstuvabcdefghijklmnopqrstuv",
    "$argon2id$v=19$m=99999999,t=3,p=4$abcdefghijklmnopqrstuv$abcdefghijklmnopqrstuv",
    "$argon2i$v=19$m=64,t=3,p=4$abcdefghijklmnopqrstuv$abcdefghijklmnopqrstuv",
    `$2b$31$${"a".repeat(53)}`,
    `$2x$10$${"a".repeat(53)}`,
    `$2b$10$${"a".repeat(52)}`,
  ];
  for (const stored of table) assert.throws(() => parsePasswordHash(stored), UnusableHash, stored);
});

Deno.test("hash work is bounded: what finds the queue full is told so at once", async () => {
  const work = new HashWork({ limits: { concurrent: 1, waiting: 2 }, parameters: { ln: 10, r: 8, p: 1 } });
  try {
    const results = await Promise.allSettled([1, 2, 3, 4].map((n) => work.hash(`p${n}`)));
    assert.deepEqual(results.map(({ status }) => status), [
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
    ]);
    assert.ok((results[3] as PromiseRejectedResult).reason instanceof HashBusy);
    assert.equal(await work.verify(await work.hash("again"), "again"), true, "places are given back");
  } finally {
    work.close();
  }
});

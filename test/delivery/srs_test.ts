/** The Sender Rewriting Scheme, by vectors and by tries to deceive it. */
import { deepStrictEqual as equal, ok } from "node:assert";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { isSrs, SRS_DAYS, srsForward, srsReverse, timestamp } from "../../delivery/srs.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 24);
const KEY = new TextEncoder().encode("a key of thirty-two octets......");
const OTHER = new TextEncoder().encode("another key of thirty-two octets");
const facts = { keys: [KEY], now: NOW };

/** The hash by another road: all bits of the digest as one number. */
function hashOf(text: string, key = KEY): string {
  const bits = BigInt(`0x${createHmac("sha256", key).update(text.toLowerCase()).digest("hex")}`).toString(2)
    .padStart(256, "0");
  return (bits.slice(0, 40).match(/.{5}/g) ?? []).map((five) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[parseInt(five, 2)]
  ).join("");
}

Deno.test("the day is two characters of base32, modulo 1,024", () => {
  equal(timestamp(0), "AA");
  equal(timestamp(31 * DAY), "A7");
  equal(timestamp(32 * DAY), "BA");
  equal(timestamp(1_023 * DAY), "77");
  equal(timestamp(1_024 * DAY), "AA");
});

Deno.test("vectors: SRS0, SRS1, SRS1 again", () => {
  const day = timestamp(NOW);
  equal(
    srsForward("user@a.example", "us.example", facts),
    `SRS0=${hashOf(`${day}=a.example=user`)}=${day}=a.example=user@us.example`,
  );
  equal(
    srsForward("SRS0=abcd=EF=a.example=user@b.example", "us.example", facts),
    `SRS1=${hashOf("b.example==abcd=EF=a.example=user")}=b.example==abcd=EF=a.example=user@us.example`,
  );
  equal(
    srsForward("SRS1=wxyz=b.example==abcd=EF=a.example=user@c.example", "us.example", facts),
    `SRS1=${hashOf("b.example==abcd=EF=a.example=user")}=b.example==abcd=EF=a.example=user@us.example`,
  );
  equal(
    srsForward("SRS0+abcd+EF+a.example+user@b.example", "us.example", facts),
    `SRS1=${hashOf("b.example=+abcd+EF+a.example+user")}=b.example=+abcd+EF+a.example+user@us.example`,
  );
});

Deno.test("back: SRS0 to the author, SRS1 to the first forwarder with its own text", () => {
  const back = (sender: string, at = NOW) => {
    const address = srsForward(sender, "us.example", facts);
    return srsReverse(address.slice(0, address.lastIndexOf("@")), { keys: [KEY], now: at });
  };
  equal(back("user@a.example"), { kind: "address", address: "user@a.example" });
  equal(back("u=s+er@a.example"), { kind: "address", address: "u=s+er@a.example" });
  equal(back("SRS0=abcd=EF=a.example=user@b.example"), {
    kind: "address",
    address: "SRS0=abcd=EF=a.example=user@b.example",
  });
  equal(back("SRS0+abcd+EF+a.example+user@b.example"), {
    kind: "address",
    address: "SRS0+abcd+EF+a.example+user@b.example",
  });
  equal(back("user@a.example", NOW + SRS_DAYS * DAY), { kind: "address", address: "user@a.example" });
  equal(back("user@a.example", NOW + (SRS_DAYS + 1) * DAY), { kind: "refused", reason: "expired" });
});

Deno.test("an old key verifies as long as it is kept, a strange one never", () => {
  const address = srsForward("user@a.example", "us.example", { keys: [OTHER], now: NOW });
  const localPart = address.slice(0, address.lastIndexOf("@"));
  equal(srsReverse(localPart, { keys: [KEY, OTHER], now: NOW }).kind, "address");
  equal(srsReverse(localPart, { keys: [KEY], now: NOW }), { kind: "refused", reason: "forged" });
  equal(srsReverse(localPart, { keys: [], now: NOW }), { kind: "refused", reason: "forged" });
});

Deno.test("hosts on the way may fold cases", () => {
  const address = srsForward("User@A.example", "us.example", facts);
  const localPart = address.slice(0, address.lastIndexOf("@"));
  equal(srsReverse(localPart.toLowerCase(), facts), { kind: "address", address: "user@a.example" });
  equal(srsReverse(localPart.toUpperCase(), facts), { kind: "address", address: "USER@A.EXAMPLE" });
});

Deno.test("what is no such address is malformed", () => {
  for (const text of ["SRS0", "SRS0=", "SRS0=a", "SRS1=x", "user", "SRS2=a=b=c"]) {
    equal(srsReverse(text, facts).kind, "refused", text);
  }
  equal(["SRS0=x", "srs1+x", "srs0-x", "srs", "srs0", "srs2=x"].map(isSrs), [
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

Deno.test("property: one character changed opens nothing, and no input throws", () => {
  const address = srsForward("user@a.example", "us.example", facts);
  const localPart = address.slice(0, address.lastIndexOf("@"));
  fc.assert(
    fc.property(fc.nat(localPart.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
      const changed = localPart.slice(0, at) + character + localPart.slice(at + 1);
      if (changed.toLowerCase() === localPart.toLowerCase()) return;
      const separator = at === 4 && /[+-]/.test(character); // the first separator is no part of what is signed
      ok(separator || srsReverse(changed, facts).kind === "refused", changed);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => srsReverse(`SRS0=${text}`, facts).kind === "refused"));
});

/** I18NLEVEL=1 and 2 (RFC 5255 4): the active comparator in SEARCH, SORT and THREAD. */
import assert from "node:assert/strict";
import { encode, latin1 } from "../../bytes/decode.ts";
import { imapTest } from "./imap_harness.ts";

/** The harness sends octets as characters. */
const octets = (text: string) => latin1(encode(text));
const letter = (subject: string, from = "a@example.test") =>
  octets(
    `From: ${from}\r\nSubject: ${subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nBody of ${subject}\r\n`,
  );

imapTest("SEARCH compares by i;unicode-casemap until a client asks for i;ascii-casemap", async (h) => {
  for (const subject of ["Caf\u00e9 au lait", "CAFE\u0301 noir", "\uff23\uff41\uff46\uff25", "Stra\u00dfe"]) {
    await h.deliver(letter(subject));
  }
  const client = await h.selected();
  const search = async (key: string) => {
    const needle = octets(key.slice(key.indexOf(" ") + 1));
    const reply = await client.ok(
      `SEARCH CHARSET UTF-8 ${key.slice(0, key.indexOf(" "))} {${needle.length}+}\r\n${needle}`,
    );
    return /\* SEARCH ?(.*)\r/.exec(reply)![1];
  };
  assert.match(await client.ok("CAPABILITY"), / I18NLEVEL=1 I18NLEVEL=2/);
  // Marks stand apart in RFC 5051, so that what is without them is found in what has them.
  for (const key of ["SUBJECT", "BODY", "TEXT"]) {
    assert.equal(await search(`${key} cafe`), "1 2 3", key);
    assert.equal(await search(`${key} CAF\u00c9`), "1 2", key);
    assert.equal(await search(`${key} STRA\u00dfE`), "4", key);
    assert.equal(await search(`${key} STRASSE`), "", key);
  }
  await client.ok("COMPARATOR i;ascii-casemap");
  for (const key of ["SUBJECT", "BODY", "TEXT"]) {
    assert.equal(await search(`${key} cafe`), "2", key);
    assert.equal(await search(`${key} CAF\u00e9`), "1", key);
    assert.equal(await search(`${key} CAF\u00c9`), "", key);
    assert.equal(await search(`${key} BODY OF STRA\u00dfE`), key === "SUBJECT" ? "" : "4", key);
  }
});

imapTest("SORT and THREAD go by the active comparator, in the order of code points", async (h) => {
  for (
    const subject of ["\u00e9clair", "Zebra", "eclipse", "\u{1f600} smile", "\uff5a wide", "\u00c9CLAIR"]
  ) {
    await h.deliver(letter(subject));
  }
  const client = await h.selected();
  const sort = async () => /\* SORT (.*)\r/.exec(await client.ok("SORT (SUBJECT) UTF-8 ALL"))![1];
  const thread = async () => /\* THREAD (.*)\r/.exec(await client.ok("THREAD ORDEREDSUBJECT UTF-8 ALL"))![1];
  assert.equal(await sort(), "3 1 6 5 2 4");
  assert.equal(await thread(), "(1 6)(2)(3)(4)(5)");
  await client.ok("COMPARATOR i;ascii-casemap");
  assert.equal(await sort(), "3 2 6 1 5 4");
  assert.equal(await thread(), "(1)(2)(3)(4)(5)(6)");
  assert.match(await client.command("COMPARATOR i;basic"), /^NO \[BADCOMPARATOR\]/);
  await client.ok("UNAUTHENTICATE");
  await client.ok("LOGIN alice secret");
  assert.match(await client.ok("COMPARATOR"), /^\* COMPARATOR "i;unicode-casemap"\r$/m);
});

/** Long lines of submitted messages: every part says the same as before, in lines of at most 998 octets. */
import { deepStrictEqual as equal, ok } from "node:assert";
import fc from "fast-check";
import { reencodeLongLines } from "../../delivery/long_lines.ts";
import { decodeTransferEncoding } from "../../message/content.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { DEFAULT_MIME_LIMITS, MimeParser, type MimePart, pick } from "../../message/mime_parser.ts";
import type { Spool } from "../../storage/store.ts";
import { octetsOf, ReceptionBed, text } from "./reception_bed.ts";

/** A spool in memory. */
class MemorySpool implements Spool {
  #pieces = "";
  get octets(): number {
    return this.#pieces.length;
  }
  get text(): string {
    return this.#pieces;
  }
  write(bytes: Uint8Array, start: number, end: number): undefined {
    this.#pieces += text(bytes.subarray(start, end));
  }
  read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array> {
    const octets = octetsOf(this.#pieces.slice(start, end));
    into?.set(octets);
    return Promise.resolve(into?.subarray(0, octets.length) ?? octets);
  }
  held(start: number, end: number): Uint8Array {
    return octetsOf(this.#pieces.slice(start, end));
  }
  onDisk(): null {
    return null;
  }
  store(): Promise<never> {
    return Promise.reject(new Error("only for reading and writing"));
  }
  discard(): void {
    this.#pieces = "";
  }
}

/** The message with short lines, or null when nothing was changed. Checks that the facts describe it. */
async function mend(message: string): Promise<string | null> {
  const from = new MemorySpool();
  const octets = octetsOf(message);
  from.write(octets, 0, octets.length);
  const to = new MemorySpool();
  const facts = await reencodeLongLines(from, to);
  if (facts === null) return null;
  const oracle = new FactsBuilder();
  oracle.push(octetsOf(to.text));
  equal(facts, oracle.finish());
  return to.text;
}

const LONG = "word ".repeat(300);
const HEADER = "From: a@b.example\r\nMIME-Version: 1.0\r\n";

Deno.test("a plain text becomes quoted-printable", async () => {
  equal(
    await mend(`${HEADER}\r\n${"x".repeat(999)}\r\nä=\r\n`.replace("ä", "\xe4")),
    `${HEADER}Content-Transfer-Encoding: quoted-printable\r\n\r\n` +
      `${"x".repeat(75)}=\r\n`.repeat(13) + `${"x".repeat(24)}\r\n=E4=3D\r\n`,
  );
});

Deno.test("998 octets are no long line", async () => {
  equal(await mend(`${HEADER}\r\n${"x".repeat(998)}\r\n`), null);
});

Deno.test("a message without MIME is told that it is MIME now", async () => {
  const mended = await mend(`From: a@b.example\r\n\r\n${LONG}`);
  ok(
    mended!.startsWith(
      "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nword word",
    ),
  );
});

Deno.test("text that is mostly not ASCII, and what is no text, become base64", async () => {
  const cyrillic = await mend(
    `${HEADER}Content-Type: text/plain; charset=koi8-r\r\n\r\n${"\xc1\xc2 ".repeat(500)}`,
  );
  ok(cyrillic!.includes("Content-Transfer-Encoding: base64\r\n\r\n"));
  const binary = await mend(`${HEADER}Content-Type: application/pdf\r\n\r\n${"x".repeat(999)}`);
  equal(
    binary,
    `${HEADER}Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n` +
      `${"eHh4".repeat(19)}\r\n`.repeat(17) + `${"eHh4".repeat(10)}\r\n`,
  );
});

Deno.test("the stated encoding is replaced where it stands", async () => {
  const mended = await mend(
    `Content-Transfer-Encoding: 8bit\r\n${HEADER}Subject: =?x?q?=\r\n\r\n${LONG}\r\n`,
  );
  ok(
    mended!.startsWith(
      `Content-Transfer-Encoding: quoted-printable\r\n${HEADER}Subject: =?x?q?=\r\n\r\nword`,
    ),
  );
});

Deno.test("only the part with the long line is changed", async () => {
  const parts = (first: string) =>
    `${HEADER}Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n${first}\r\n--b\r\n` +
    `Content-Type: text/html\r\n\r\n<p>=</p>\r\n--b--\r\nepilogue\r\n`;
  equal(
    await mend(parts(`Content-Type: text/plain\r\n\r\n${"x".repeat(1_000)}\r\nend=`)),
    parts(
      "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
        `${"x".repeat(75)}=\r\n`.repeat(13) + `${"x".repeat(25)}\r\nend=3D`,
    ),
  );
});

Deno.test("a part without a header gets one", async () => {
  const message = (part: string) =>
    `${HEADER}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n${part}\r\n--b--\r\n`;
  equal(
    await mend(message(`\r\n${"x".repeat(1_000)}`)),
    message(
      `Content-Transfer-Encoding: quoted-printable\r\n\r\n${`${"x".repeat(75)}=\r\n`.repeat(13)}${
        "x".repeat(25)
      }`,
    ),
  );
});

for (const kind of ["signed", "encrypted", "SIGNED"]) {
  Deno.test(`multipart/${kind} is not touched`, async () => {
    const message = `${HEADER}Content-Type: multipart/${kind}; boundary=b\r\n\r\n--b\r\n\r\n${LONG}\r\n` +
      `--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n${LONG}\r\n--c--\r\n--b--\r\n`;
    equal(await mend(message), null);
  });
}

Deno.test("a part beside a signed one is mended, the signed one is not", async () => {
  const signed = `Content-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n${LONG}\r\n--c--\r\n`;
  const mended = await mend(
    `${HEADER}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n${signed}\r\n--b\r\n\r\n${LONG}\r\n--b--\r\n`,
  );
  ok(mended!.includes(signed));
  ok(mended!.includes("--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nword "));
});

Deno.test("a forwarded message is mended inside", async () => {
  const mended = await mend(
    `${HEADER}Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n${LONG}\r\n`,
  );
  ok(mended!.includes(
    "message/rfc822\r\n\r\nSubject: inner\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nword",
  ));
});

Deno.test("encodings that we do not know and long header lines stay", async () => {
  equal(await mend(`${HEADER}Content-Transfer-Encoding: x-uuencode\r\n\r\n${LONG}\r\n`), null);
  equal(await mend(`${HEADER}X: ${LONG}\r\n\r\nshort\r\n`), null);
});

Deno.test("base64 in one long line is wrapped, quoted-printable too", async () => {
  const body = "QUJD".repeat(300);
  const wrapped = await mend(`${HEADER}Content-Transfer-Encoding: BASE64\r\n\r\n${body}`);
  equal(
    wrapped,
    `${HEADER}Content-Transfer-Encoding: BASE64\r\n\r\n${`${"QUJD".repeat(19)}\r\n`.repeat(15)}${
      "QUJD".repeat(15)
    }\r\n`,
  );
  const quoted = await mend(
    `${HEADER}Content-Transfer-Encoding: quoted-printable\r\n\r\n${"=C3=A4".repeat(200)}\r\nend=\r\n`,
  );
  const text = quoted!.slice(quoted!.indexOf("\r\n\r\n") + 4);
  equal(text.replaceAll("=\r\n", ""), `${"=C3=A4".repeat(200)}\r\nend`);
});

/** All leaf bodies, decoded. */
function leaves(message: string): string[] {
  const octets = octetsOf(message);
  const wanted = new Set(["content-type", "content-transfer-encoding"]);
  const parser = new MimeParser(DEFAULT_MIME_LIMITS, (block, spans) => pick(block, spans, wanted));
  parser.push(octets, 0, octets.length);
  const found: string[] = [];
  const walk = (part: MimePart) => {
    part.children.forEach(walk);
    if (part.children.length > 0) return;
    const encoding = part.fields.get("content-transfer-encoding") ?? "";
    found.push(text(decodeTransferEncoding(octets.subarray(part.bodyStart, part.bodyEnd), encoding)));
  };
  walk(parser.finish());
  return found;
}

Deno.test("property: parts decode to what they were, and no line is long", async () => {
  const line = fc.oneof(
    { weight: 6, arbitrary: fc.string({ maxLength: 60 }).map((text) => text.replace(/^-+/, "")) },
    {
      weight: 6,
      arbitrary: fc.tuple(fc.constantFrom("x", "= ", "\xe4\xf6", "a\tb"), fc.integer({ min: 1, max: 1_200 }))
        .map(([unit, times]) => unit.repeat(times)),
    },
    // Longer than one piece of the rewriting.
    { weight: 1, arbitrary: fc.constantFrom("y".repeat(58_368), "z =".repeat(20_000)) },
  );
  const body = fc.array(line, { minLength: 1, maxLength: 5 }).map((lines) => lines.join("\r\n"));
  const type = fc.constantFrom("text/plain", "text/html; charset=utf-8", "application/octet-stream");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(type, body), { minLength: 1, maxLength: 3 }), async (parts) => {
      const message = `${HEADER}Content-Type: multipart/mixed; boundary=b0und\r\n\r\n` +
        parts.map(([type, text]) => `--b0und\r\nContent-Type: ${type}\r\n\r\n${text}\r\n`).join("") +
        "--b0und--\r\n";
      const mended = await mend(message);
      const before = leaves(message);
      if (mended === null) {
        ok(message.split("\r\n").every((text) => text.length <= 998));
        return;
      }
      equal(leaves(mended), before);
      ok(mended.split("\r\n").every((text) => text.length <= 998));
      for (const part of mended.split("--b0und")) {
        const [head = "", ...rest] = part.split("\r\n\r\n");
        if (!head.includes("Transfer-Encoding")) continue;
        ok(rest.join("\r\n\r\n").split("\r\n").every((text) => text.length <= 76));
      }
    }),
    { numRuns: 25 },
  );
});

Deno.test("end to end: a login's long lines are mended, a large message in pieces too", async () => {
  await using bed = await ReceptionBed.open();
  const long = "0123456789".repeat(60_000);
  const { data } = await bed.send({
    client: bed.login("alice"),
    from: "alice@example.test",
    to: ["bob@example.test"],
    message: `From: alice@example.test\r\nSubject: long\r\n\r\n${long}\r\n`,
    pieceOctets: 50_000,
  });
  equal(data?.code, 250);
  const [stored] = bed.stored("bob");
  equal(leaves(stored!), [`${long}\r\n`]);
  ok(stored!.split("\r\n").every((text) => text.length <= 998));
  const row = bed.test.store.messages.row(bed.test.mailboxId("bob", "INBOX"), 1, { withImap: false })!;
  equal(row.headerOctets, stored!.indexOf("\r\n\r\n") + 4 - row.sizeOctets + row.blob.length);
});

/**
 * The public messages of Apache Mime4j with their structures and decoded octets, and the header cases and RFC examples of
 * mail-parser. Where we differ from them on purpose, the reason stands beside the name.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { decodeTransferEncoding } from "../../message/content.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { scanFields } from "../../message/header.ts";
import { partsOf, type PartSpan } from "../../message/packed.ts";
import { expectedMessage, type ExpectedPart } from "./mime4j_suite.ts";
import { gapsOf, octetsAddUp } from "./octets_add_up.ts";

const VECTORS = fileURLToPath(new URL("../../../shared/vectors/", import.meta.url));
const MIME4J = `${VECTORS}mime4j/testmsgs/`;
const exists = await Deno.stat(VECTORS).then(() => true, () => false);
if (!exists) console.log("the public vectors are skipped: ../shared/vectors is not there");

const namesOf = (folder: string, end: string) =>
  [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(end)).sort();
const text = (path: string) => latin1(Deno.readFileSync(path));

function structureOf(message: Uint8Array): PartSpan {
  const builder = new FactsBuilder();
  builder.push(message);
  return partsOf(builder.finish().imap);
}

/**
 * RFC 2046 5.2.1 forbids any encoding of message/rfc822 but 7bit, 8bit and binary, and no section of IMAP can name a part
 * inside of an encoded one. It is shown as application/octet-stream, as clients look for an ENVELOPE where they see
 * message/rfc822, and its decoded octets are the message that the suite expects.
 */
const ENCODED_MESSAGES: ReadonlySet<string> = new Set([
  "bad-newlines-multiple-parts-base64.msg",
  "base64encoded-rfc822message-nested.msg",
  "base64encoded-rfc822message.msg",
]);
/**
 * The suite's other way with a line that is no field: it starts the body. We take it as Mime4j does by default and as the
 * same octets are expected in the file named here: a header ends at its empty line (RFC 5322 2.1).
 */
const HEADER_ENDS_AT_EMPTY_LINE: Readonly<Record<string, string>> = {
  "malformedHeaderStartsBody-nocrlfcrlf.msg": "malformedHeader-nocrlfcrlf.msg",
  "malformedHeaderStartsBody-noheader.msg": "malformedHeader-noheader.msg",
};
/**
 * Fields that Mime4j drops because their names have characters that no name may have (RFC 5322 2.2). Nobody can ask for
 * them by name, but they are octets of the header, and all octets are kept.
 */
const ODD_FIELDS: readonly string[] = [
  "between header and body contains an additional space: ",
  "Inval\xecd-Header: this is not valid.",
];

/** The part is what the suite expects, down to the last one. */
function isAsExpected(message: Uint8Array, part: PartSpan, expected: ExpectedPart, path: string): void {
  const header = message.subarray(part.headerStart, part.headerEnd);
  const fields = scanFields(header, 0, header.length).map(({ start, end }) =>
    latin1(header, start, end).replace(/\r?\n$/, "")
  );
  assert.deepEqual(fields.filter((field) => !ODD_FIELDS.includes(field)), expected.fields, path);
  const body = message.subarray(part.bodyStart, part.bodyEnd);
  if (expected.multipart !== null) {
    const { preamble, epilogue, parts } = expected.multipart;
    assert.match(part.contentType, /^MULTIPART\//, path);
    assert.deepEqual(gapsOf(message, part), { preamble, epilogue }, path);
    assert.equal(part.children.length, parts.length, path);
    parts.forEach((inner, i) => isAsExpected(message, part.children[i]!, inner, `${path} ${i + 1}`));
  } else if (expected.message !== null) {
    if (part.message !== null) isAsExpected(message, part.message, expected.message, `${path} message`);
    else {
      assert.equal(part.encoding, "BASE64", path);
      const decoded = decodeTransferEncoding(body, part.encoding);
      isAsExpected(decoded, structureOf(decoded), expected.message, `${path} decoded`);
    }
  } else {
    assert.equal(part.children.length, 0, path);
    assert.equal(part.message, null, path);
    const octets = expected.file === null ? "" : text(MIME4J + expected.file);
    assert.equal(latin1(decodeTransferEncoding(body, part.encoding)), octets, path);
  }
}

Deno.test({
  name: "the public messages of Mime4j have the structure and the decoded octets that the suite expects",
  ignore: !exists,
  fn: () => {
    const names = namesOf(MIME4J, ".msg");
    assert.equal(names.length, 32);
    for (const name of names) {
      const expectedBy = HEADER_ENDS_AT_EMPTY_LINE[name] ?? name;
      const expected = expectedMessage(text(MIME4J + expectedBy.replace(/\.msg$/, "_decoded.xml")));
      const message = Deno.readFileSync(MIME4J + name);
      const structure = structureOf(message);
      isAsExpected(message, structure, expected, name);
      assert.equal(
        structure.contentType === "APPLICATION/OCTET-STREAM",
        ENCODED_MESSAGES.has(name),
        name,
      );
    }
  },
});

Deno.test({
  name: "the octets of every part of the public messages add up to the whole, however they arrive",
  ignore: !exists,
  fn: () => {
    const files = [
      ...namesOf(MIME4J, ".msg").map((name) => MIME4J + name),
      ...namesOf(`${VECTORS}mail-parser/rfc/`, ".eml").map((name) => `${VECTORS}mail-parser/rfc/${name}`),
    ];
    assert.equal(files.length, 42);
    for (const file of files) {
      const lf = Deno.readFileSync(file);
      for (const message of [lf, encodeLatin1(latin1(lf).replace(/\r?\n/g, "\r\n"))]) {
        const structure = structureOf(message);
        octetsAddUp(message, structure, file);
        const builder = new FactsBuilder();
        for (let at = 0; at < message.length; at += 7) builder.push(message.slice(at, at + 7));
        assert.deepEqual(partsOf(builder.finish().imap), structure, `${file} in pieces`);
      }
    }
  },
});

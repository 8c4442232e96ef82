/**
 * The examples of MIME's RFCs as mail-parser's suite has them, with both kinds of line ends: where each part, body and
 * field lies, and what their values say.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { decodeText, decodeTransferEncoding } from "../../message/content.ts";
import { parseDate } from "../../message/date.ts";
import { decodeHeaderText } from "../../message/encoded_word.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { fieldValue, scanFields } from "../../message/header.ts";
import { partsOf, type PartSpan } from "../../message/packed.ts";
import {
  addressesOf,
  type AddressesOfSuite,
  type DateOfSuite,
  type MailboxOfSuite,
  pairsOf,
  timeOf,
  typeOf,
  type TypeOfSuite,
} from "./mail_parser_values.ts";

const EXAMPLES = fileURLToPath(new URL("../../../shared/vectors/mail-parser/rfc/", import.meta.url));
const exists = await Deno.stat(EXAMPLES).then(() => true, () => false);
if (!exists) console.log("the RFC examples are skipped: ../shared/vectors/mail-parser is not there");

interface MessageOfSuite {
  readonly parts: readonly PartOfSuite[];
}

interface PartOfSuite {
  readonly headers: readonly FieldOfSuite[];
  /** Of one kind: the numbers of its parts, a decoded text, decoded octets, a message. */
  readonly body: {
    readonly Multipart?: readonly number[];
    readonly Text?: string;
    readonly Html?: string;
    readonly Binary?: readonly number[];
    readonly InlineBinary?: readonly number[];
    readonly Message?: MessageOfSuite;
  };
  readonly offset_header: number;
  readonly offset_body: number;
  readonly offset_end: number;
  readonly is_encoding_problem: boolean;
}

interface FieldOfSuite {
  readonly name: string;
  readonly value: {
    readonly Address?: AddressesOfSuite;
    readonly DateTime?: DateOfSuite;
    readonly Text?: string;
    readonly ContentType?: Omit<TypeOfSuite, "attributes"> & {
      readonly attributes: readonly { readonly name: string; readonly value: string }[] | null;
    };
  };
  readonly offset_field: number;
  readonly offset_start: number;
  readonly offset_end: number;
}

/** RFC 5322 3.2.2: beside a name a comment is no part of it, and alone it is no address. The suite shows both as names. */
const COMMENTS: Readonly<Record<string, MailboxOfSuite | null>> = {
  "A1 Gore (The Enforcer)": { name: "A1 Gore", address: "vice-president@whitehouse.gov" },
  "mailbox in US-ASCII": null,
  "address in US-ASCII": null,
};

/** What has no "@" is a name to the suite. We show it as an address that lacks its domain, as IMAP must. */
function mailboxes({ List }: AddressesOfSuite): readonly MailboxOfSuite[] {
  return (List ?? []).flatMap((mailbox) => {
    const ours = COMMENTS[mailbox.name ?? ""];
    if (ours !== undefined) return ours ?? [];
    return mailbox.address === null ? { name: null, address: mailbox.name } : mailbox;
  });
}

const evenly = (text: string) => text.replace(/\s+/g, " ").trim();

function structureOf(message: Uint8Array): PartSpan {
  const builder = new FactsBuilder();
  builder.push(message);
  return partsOf(builder.finish().imap);
}

function fieldIsAsExpected(value: string, { value: expected, name }: FieldOfSuite): void {
  const { Address, DateTime, Text, ContentType } = expected;
  if (Address !== undefined) assert.deepEqual(addressesOf(value).List, mailboxes(Address), name);
  if (DateTime !== undefined) assert.equal(parseDate(value), timeOf(DateTime), name);
  // The suite takes the angle brackets of identifiers away.
  if (Text !== undefined) {
    assert.equal(evenly(decodeHeaderText(value)).replace(/^<|>$/g, ""), evenly(Text), name);
  }
  if (ContentType !== undefined) {
    const attributes = (ContentType.attributes ?? []).map((each) => [each.name, each.value] as const);
    const pairs = pairsOf({ ...ContentType, attributes });
    assert.deepEqual(typeOf(value), { ...ContentType, attributes: Object.fromEntries(pairs) }, name);
  }
}

function partIsAsExpected(
  message: Uint8Array,
  part: PartSpan,
  expected: { readonly all: MessageOfSuite; readonly part: PartOfSuite },
  path: string,
): void {
  const { all, part: { body, ...wanted } } = expected;
  const { headerStart, bodyStart, bodyEnd } = part;
  assert.deepEqual(
    { headerStart, bodyStart, bodyEnd },
    { headerStart: wanted.offset_header, bodyStart: wanted.offset_body, bodyEnd: wanted.offset_end },
    path,
  );
  const fields = scanFields(message, headerStart, bodyStart);
  assert.deepEqual(
    fields.map(({ name, start, value, end }) => [name.replaceAll("-", "_"), start, value, end]),
    wanted.headers.map(({ name, ...at }) => [name, at.offset_field, at.offset_start, at.offset_end]),
    path,
  );
  fields.forEach((field, i) => fieldIsAsExpected(fieldValue(message, field), wanted.headers[i]!));
  const octets = message.subarray(bodyStart, bodyEnd);
  const text = body.Text ?? body.Html;
  const binary = body.Binary ?? body.InlineBinary;
  if (body.Multipart !== undefined) {
    assert.equal(part.children.length, body.Multipart.length, path);
    body.Multipart.forEach((number, i) =>
      partIsAsExpected(message, part.children[i]!, { all, part: all.parts[number]! }, `${path} ${number}`)
    );
  } else if (body.Message !== undefined) {
    const first = { all: body.Message, part: body.Message.parts[0]! };
    if (part.encoding === "BASE64") {
      // RFC 2046 5.2.1 forbids it: to IMAP it is application/octet-stream, which this message was.
      const decoded = decodeTransferEncoding(octets, part.encoding);
      partIsAsExpected(decoded, structureOf(decoded), first, `${path} decoded`);
    } else partIsAsExpected(message, part.message!, first, `${path} message`);
  } else if (wanted.is_encoding_problem) {
    assert.equal(latin1(octets), text, path); // "base64" that is prose; the suite does not decode it
  } else if (text !== undefined) assert.equal(decodeText(octets, part), text, path);
  else assert.deepEqual([...decodeTransferEncoding(octets, part.encoding)], binary, path);
}

Deno.test({
  name: "the examples of MIME's RFCs: structure, offsets, decoded octets and values",
  ignore: !exists,
  fn: () => {
    const names = [...Deno.readDirSync(EXAMPLES)].map(({ name }) => name).filter((name) =>
      /\.eml$/.test(name)
    );
    assert.equal(names.length, 10);
    for (const name of names) {
      const lf = Deno.readFileSync(EXAMPLES + name);
      const crlf = encodeLatin1(latin1(lf).replaceAll("\n", "\r\n"));
      for (const [message, kind] of [[lf, "json"], [crlf, "crlf.json"]] as const) {
        const file = name.replace(/eml$/, kind);
        const all = JSON.parse(Deno.readTextFileSync(EXAMPLES + file)) as MessageOfSuite;
        partIsAsExpected(message, structureOf(message), { all, part: all.parts[0]! }, file);
      }
    }
  },
});

/**
 * The header cases of mail-parser: addresses, dates, types, message ids, lists, Received and unstructured fields. Where we
 * differ on purpose, our value stands beside the reason.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { encode } from "../../bytes/decode.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { fieldValue, scanFields } from "../../message/header.ts";
import { decodeHeaderText } from "../../message/encoded_word.ts";
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
import { parseDate } from "../../message/date.ts";
import * as differs from "./header_exceptions.ts";

const SUITE = fileURLToPath(new URL("../../../shared/vectors/mail-parser/", import.meta.url));
const exists = await Deno.stat(SUITE).then(() => true, () => false);
if (!exists) console.log("the header cases are skipped: ../shared/vectors/mail-parser is not there");

interface Case<T> {
  /** The value behind the colon, line ends included, and what of the header follows. */
  readonly header: string;
  readonly expected: T;
}

/** Compares what we make of each case with the suite's value, or with ours where it is named among the exceptions. */
function suite<T, V>(name: string, cases: number, values: {
  readonly ours: (value: string, header: string) => V;
  readonly theirs: (expected: T) => V;
  readonly exceptions: differs.Exceptions<V>;
}): void {
  Deno.test({
    name: `the public header cases: ${name}`,
    ignore: !exists,
    fn: () => {
      const all = JSON.parse(Deno.readTextFileSync(`${SUITE}${name}.json`)) as Case<T>[];
      assert.equal(all.length, cases);
      const exceptions = new Map(Object.values(values.exceptions).flatMap((named) => Object.entries(named)));
      for (const { header, expected } of all) {
        const ours = values.ours(valueOf(header), header);
        const theirs = values.theirs(expected);
        const exception = exceptions.get(header);
        if (exception === undefined) assert.deepEqual(ours, theirs, header);
        else {
          assert.deepEqual(ours, exception, header);
          assert.notDeepEqual(ours, theirs, `no exception any more: ${header}`);
          exceptions.delete(header);
        }
      }
      assert.deepEqual([...exceptions.keys()], [], "exceptions that are no cases");
    },
  });
}

/** One character an octet, unfolded, as every parser of ours has it. */
function valueOf(header: string): string {
  const field = encode(`X:${header}`);
  return fieldValue(field, scanFields(field, 0, field.length)[0]!);
}

/** RFC 5322 2.2.3 takes only the line end away; the suite makes one space of all white space around it. */
const evenly = (text: string) => text.replace(/\s+/g, " ");

suite<DateOfSuite | null, number | null>("date", 40, {
  ours: parseDate,
  theirs: timeOf,
  exceptions: differs.DATES,
});

suite<{ readonly date?: DateOfSuite } | null, number | null>("received", 181, {
  // Of Received fields the date is what anybody asks for: behind the last semicolon (RFC 5322 3.6.7).
  ours: (value) => parseDate(value.slice(value.lastIndexOf(";") + 1)),
  theirs: (expected) => timeOf(expected?.date ?? null),
  exceptions: differs.RECEIVED_DATES,
});

suite<string, string>("unstructured", 30, {
  ours: (value) => evenly(decodeHeaderText(value)),
  theirs: evenly,
  exceptions: differs.UNSTRUCTURED,
});

suite<readonly string[], readonly string[]>("list", 7, {
  ours: (value) => value.split(",").map((text) => evenly(decodeHeaderText(text.trim()))).filter(Boolean),
  theirs: (expected) => expected,
  exceptions: {},
});

suite<readonly string[] | null, readonly string[]>("id", 11, {
  ours: (_, header) => {
    const builder = new FactsBuilder();
    builder.push(encode(`References:${header}`));
    return builder.finish().references.map((id) => id.slice(1, -1));
  },
  theirs: (expected) => expected ?? [],
  exceptions: differs.IDS,
});

suite<AddressesOfSuite, AddressesOfSuite>("address", 60, {
  ours: addressesOf,
  theirs: ({ List, Group }) =>
    List !== undefined
      ? { List: withoutRoutes(List) }
      : { Group: Group!.map(({ name, addresses }) => ({ name, addresses: withoutRoutes(addresses) })) },
  exceptions: differs.ADDRESSES,
});

/**
 * What stands in front of a colon is a route, which is to be ignored (RFC 5322 4.4). The suite has it as part of the
 * address, and reads links of List fields (RFC 2369) as addresses too.
 */
function withoutRoutes(list: readonly MailboxOfSuite[]): readonly MailboxOfSuite[] {
  return list.map(({ name, address }) => ({ name, address: address?.replace(/^[^:]*:/, "") ?? null }));
}

suite<TypeOfSuite | null, TypeOfSuite | null>("content_type", 103, {
  ours: typeOf,
  theirs: (expected) =>
    expected && {
      ...expected,
      // We keep no language of a parameter (RFC 2231 5.).
      attributes: Object.fromEntries(pairsOf(expected).filter(([name]) => !name.endsWith("-language"))),
    },
  exceptions: differs.TYPES,
});

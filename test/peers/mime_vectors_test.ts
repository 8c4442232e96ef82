/**
 * Every public message, by FETCH of all of its sections: the octets of Dovecot's libmime, and the parts of Python's email
 * package. Where we differ, the reason stands beside the name.
 *
 * Needs Debian's dovecot-imapd and python3.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { dovecotImap } from "../lib/dovecot_imap.ts";
import type { ImapClient } from "../lib/imap_client.ts";
import { type NumberedPart, numberedParts } from "../lib/imap_structure.ts";
import { runOk } from "../lib/program.ts";
import { RunningServer } from "../lib/running_server.ts";

const VECTORS = fileURLToPath(new URL("../../../shared/vectors/", import.meta.url));
const exists = await Deno.stat(VECTORS).then(() => true, () => false);
if (!exists) console.log("the public messages are skipped: ../shared/vectors is not there");

interface Fetched {
  readonly parts: readonly NumberedPart[];
  /** Octets by section; beside them the type of each part. */
  readonly sections: Readonly<Record<string, string>>;
}

/** `[number, type, octets, decoded octets]`, octets in base64, null of parts that hold others. */
type PythonPart = readonly [string, string, string | null, string | null];

/** By reason and message: the sections that Dovecot has otherwise. */
const DOVECOT_DIFFERS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  "an encoded message holds no parts (RFC 2046 5.2.1); Dovecot takes its base64 for a header": {
    "bad-newlines-multiple-parts-base64.msg": [
      "1.HEADER",
      "1.TEXT",
      "1.1",
      "1.1.MIME",
      "type of 1",
      "type of 1.1",
    ],
    "base64encoded-rfc822message-nested.msg": [
      "1.HEADER",
      "1.TEXT",
      "1.1",
      "1.1.MIME",
      "type of 1",
      "type of 1.1",
    ],
    "base64encoded-rfc822message.msg": ["1.HEADER", "1.TEXT", "1.1", "1.1.MIME", "type of 1", "type of 1.1"],
    "008.eml": ["2", "2.HEADER", "2.TEXT", "2.1", "2.1.MIME", "type of 2", "type of 2.1"],
  },
  "the line end before a boundary is the boundary's (RFC 2046 5.1.1), whatever the multipart in front of it is":
    {
      "boundary-name-clash.msg": ["1"],
      "missing-inner-start-boundary.msg": ["2"],
    },
  "an empty line ends a header, though a boundary follows: [MIME] has it (RFC 3501 6.4.5)": {
    "multipartdigestnestedemptyparts.msg": ["1.1.MIME"],
    "multipartnestedemptyparts.msg": ["1.1.MIME"],
    "multipartnestedemptypartsnorfc822.msg": ["1.1.MIME"],
  },
  "a boundary counts with all of its characters; to Dovecot only the first 80 do": {
    "very-long-boundary.msg": ["1", "2", "2.MIME", "3", "3.MIME", "type of 2", "type of 3"],
    "very-very-long-boundary.msg": ["1", "2", "2.MIME", "3", "3.MIME", "type of 2", "type of 3"],
  },
};

/** By reason: the messages of which Python finds other parts. */
const PYTHON_DIFFERS: Readonly<Record<string, readonly string[]>> = {
  "an encoded message holds no parts (RFC 2046 5.2.1); Python takes its base64 for a text": [
    "bad-newlines-multiple-parts-base64.msg",
    "base64encoded-rfc822message-nested.msg",
    "base64encoded-rfc822message.msg",
    "008.eml",
  ],
  "a header ends at its empty line (RFC 5322 2.1); to Python it ends at the first line that is no field": [
    "basic-plain-with-bad-header-separator.msg",
    "malformedHeader-nocrlfcrlf.msg",
    "malformedHeader-noheader.msg",
    "malformedHeaderStartsBody-nocrlfcrlf.msg",
    "malformedHeaderStartsBody-noheader.msg",
    "obsolete.msg",
  ],
  "the beginning of a line is compared with a boundary (RFC 2046 5.1.1); Python compares the whole": [
    "ending-boundaries.msg",
  ],
  "a boundary counts with white space at its end; Python takes that away": [
    "very-long-boundary.msg",
    "very-very-long-boundary.msg",
    "weird-boundary.msg",
  ],
  "the grammar of BODYSTRUCTURE wants a part in a multipart: where there is none, a text of no octets": [
    "missing-boundary.msg",
    "missing-inner-boundary.msg",
    "missing-inner-start-boundary.msg",
    "multipartnopart.msg",
  ],
  "a part may end before its header does; Python takes the epilogue for its body": ["multipartemptypart.msg"],
  "to IMAP only message/rfc822 holds a part (RFC 3501 7.4.2), not message/external-body": ["001.eml"],
};

/** Names and texts with CRLF, as mail comes. */
function messages(): [string, string][] {
  const folders = [["mime4j/testmsgs/", ".msg"], ["mail-parser/rfc/", ".eml"]] as const;
  return folders.flatMap(([folder, end]) =>
    [...Deno.readDirSync(VECTORS + folder)].map(({ name }) => name).filter((name) => name.endsWith(end))
      .sort().map((name): [string, string] => {
        const text = latin1(Deno.readFileSync(VECTORS + folder + name));
        return [name, text.replace(/\r?\n/g, "\r\n")];
      })
  );
}

/** One section of the newest message, with `item` as BODY.PEEK or BINARY.PEEK. */
async function section(client: ImapClient, item: string, name: string): Promise<string> {
  const { untagged } = await client.ok(`FETCH * ${item}[${name}]`);
  const { line, literals } = untagged.find((response) => response.line.includes(`[${name}] `))!;
  const short = /\] (?:"([^"]*)"|NIL)\)$/.exec(line);
  return short === null ? latin1(literals[0]!) : short[1] ?? "NIL";
}

/** Every section that the structure has. */
async function fetched(client: ImapClient, text: string): Promise<Fetched> {
  await client.ok("APPEND INBOX", text);
  await client.ok("SELECT INBOX");
  const { untagged } = await client.ok("FETCH * BODYSTRUCTURE");
  const parts = numberedParts(untagged.find(({ line }) => line.includes(" FETCH "))!);
  const names = ["", "HEADER", "TEXT"];
  for (const { number, isMessage } of parts) {
    names.push(number, `${number}.MIME`, ...(isMessage ? [`${number}.HEADER`, `${number}.TEXT`] : []));
  }
  const sections: Record<string, string> = {};
  for (const name of names) sections[name] = await section(client, "BODY.PEEK", name);
  for (const { number, type, octets } of parts) {
    sections[`type of ${number}`] = type;
    if (octets !== null) assert.equal(sections[number]!.length, octets, `the size of ${number}`);
  }
  return { parts, sections };
}

/** Names of the sections that only one has, or each has otherwise. */
function differences(a: Fetched, b: Fetched): string[] {
  const names = new Set([...Object.keys(a.sections), ...Object.keys(b.sections)]);
  return [...names].filter((name) => a.sections[name] !== b.sections[name]).sort();
}

Deno.test({
  name: "FETCH of every section of the public messages has Dovecot's octets",
  ignore: !exists,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "veredus-mime-" });
    await using server = await RunningServer.start({ threads: 0 });
    const ours = await server.imap();
    const dovecot = await dovecotImap(folder);
    const exceptions = new Map(Object.values(DOVECOT_DIFFERS).flatMap((named) => Object.entries(named)));
    for (const [name, text] of messages()) {
      const our = await fetched(ours, text);
      const their = await fetched(dovecot.client, text);
      assert.equal(our.sections[""], text, name);
      const expected = exceptions.get(name) ?? [];
      assert.deepEqual(differences(our, their), [...expected].sort(), name);
      exceptions.delete(name);
    }
    assert.deepEqual([...exceptions.keys()], [], "exceptions that are no messages");
    await ours.logout();
    await dovecot.stop();
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "the parts of the public messages are those of Python's email package, as they came and decoded",
  ignore: !exists,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "veredus-mime-" });
    await using server = await RunningServer.start({ threads: 0 });
    const ours = await server.imap();
    const all = messages();
    for (const [name, text] of all) await Deno.writeFile(`${folder}/${name}`, encodeLatin1(text));
    const script = fileURLToPath(new URL("email_parts.py", import.meta.url));
    const files = all.map(([name]) => `${folder}/${name}`).join("\n");
    const lines = (await runOk("python3", [script], { stdin: files })).stdout.trim().split("\n");
    const exceptions = new Set(Object.values(PYTHON_DIFFERS).flat());
    for (const [i, [name, text]] of all.entries()) {
      const { parts, sections } = await fetched(ours, text);
      const found: PythonPart[] = [];
      for (const { number, type, isLeaf } of parts) {
        const decoded = isLeaf ? btoa(await section(ours, "BINARY.PEEK", number)) : null;
        found.push([number, type, isLeaf ? btoa(sections[number]!) : null, decoded]);
      }
      const expected = JSON.parse(lines[i]!) as PythonPart[];
      if (exceptions.delete(name)) assert.notDeepEqual(found, expected, `no exception any more: ${name}`);
      else assert.deepEqual(found, expected, name);
    }
    assert.deepEqual([...exceptions], [], "exceptions that are no messages");
    await ours.logout();
    await Deno.remove(folder, { recursive: true });
  },
});

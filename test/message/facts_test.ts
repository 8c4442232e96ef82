/** Structures of whole messages: known trees, broken mail, and the same result for every way the octets arrive. */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { FactsBuilder, type MessageFacts } from "../../message/facts.ts";
import { bodyOf, bodyStructureOf, envelopeOf, partsOf, type PartSpan } from "../../message/packed.ts";

function facts(text: string, cuts: number[] = []): MessageFacts {
  const bytes = encodeLatin1(text);
  const builder = new FactsBuilder();
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    const chunk = bytes.slice(from, cut);
    builder.push(chunk, 0, chunk.length);
    from = cut;
  }
  return builder.finish();
}

const crlf = (text: string) => text.replaceAll("\n", "\r\n");

const NESTED = crlf(`Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000
From: "Ann \\"A.\\" Bee" <ann@a.test>, b@b.test (Bob)
To: undisclosed-recipients:;
Cc: Team: x@a.test, "y z"@b.test;, =?utf-8?q?S=C3=BC=C3=9F?= <s@c.test>
Subject: one
 two
Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)
Message-ID: <1@a.test>
References: <0@a.test> <00@a.test>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe
second
--inner
Content-Type: text/html

<p>x</p>
--inner--
epilogue of inner
--outer
Content-Type: message/rfc822
Content-Disposition: attachment; filename="m.eml"

From: inner@x.test
Subject: inside
Content-Type: multipart/mixed; boundary=deep

--deep

leaf
--deep--
--outer
Content-Type: application/octet-stream; name="a b"
Content-Transfer-Encoding: base64
Content-ID: <c@x>

AAECAw==
--outer--
`);

Deno.test("ENVELOPE and BODYSTRUCTURE of a nested message", () => {
  const f = facts(NESTED);
  assert.equal(
    latin1(envelopeOf(f.imap)),
    '("Mon, 7 Feb 1994 21:52:25 -0800 (PST)" "one two" (("Ann \\"A.\\" Bee" NIL "ann" "a.test")("Bob" NIL "b" "b.test")) ' +
      '(("Ann \\"A.\\" Bee" NIL "ann" "a.test")("Bob" NIL "b" "b.test")) ' +
      '(("Ann \\"A.\\" Bee" NIL "ann" "a.test")("Bob" NIL "b" "b.test")) ' +
      '((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)) ' +
      '((NIL NIL "Team" NIL)(NIL NIL "x" "a.test")(NIL NIL "y z" "b.test")(NIL NIL NIL NIL)' +
      '("=?utf-8?q?S=C3=BC=C3=9F?=" NIL "s" "c.test")) NIL NIL "<1@a.test>")',
  );
  assert.equal(
    latin1(bodyStructureOf(f.imap)),
    '((("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "QUOTED-PRINTABLE" 23 1 NIL NIL NIL NIL)' +
      '("TEXT" "HTML" NIL NIL NIL "7BIT" 8 0 NIL NIL NIL NIL) "ALTERNATIVE" ("BOUNDARY" "inner") NIL NIL NIL)' +
      '("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 109 (NIL "inside" ((NIL NIL "inner" "x.test")) ((NIL NIL "inner" "x.test")) ' +
      '((NIL NIL "inner" "x.test")) NIL NIL NIL NIL NIL) (("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 4 0 NIL NIL NIL NIL) ' +
      '"MIXED" ("BOUNDARY" "deep") NIL NIL NIL) 7 NIL ("ATTACHMENT" ("FILENAME" "m.eml")) NIL NIL)' +
      '("APPLICATION" "OCTET-STREAM" ("NAME" "a b") "<c@x>" NIL "BASE64" 8 NIL NIL NIL NIL) "MIXED" ("BOUNDARY" "outer") NIL NIL NIL)',
  );
  assert.match(latin1(bodyOf(f.imap)), /"QUOTED-PRINTABLE" 23 1\)/);
  const part = partsOf(f.imap);
  const text = (span: PartSpan) => NESTED.slice(span.bodyStart, span.bodyEnd);
  assert.equal(text(part.children[0]!.children[0]!), "Gr=C3=BC=C3=9Fe\r\nsecond");
  assert.equal(text(part.children[1]!.message!.children[0]!), "leaf");
  assert.equal(text(part.children[2]!), "AAECAw==");
  assert.equal(f.preview, "Grüße second");
  assert.deepEqual(f.references, ["<0@a.test>", "<00@a.test>"]);
  assert.equal(f.sentAtMs, Date.UTC(1994, 1, 8, 5, 52, 25));
  assert.equal(f.receivedCount, 1);
});

Deno.test("every way of cutting the octets gives the same facts", () => {
  const whole = facts(NESTED);
  for (let cut = 1; cut < NESTED.length; cut++) {
    assert.deepEqual(facts(NESTED, [cut]), whole, `cut at ${cut}`);
  }
  assert.deepEqual(
    facts(NESTED, Array.from({ length: NESTED.length - 1 }, (_, i) => i + 1)),
    whole,
    "octet by octet",
  );
});

Deno.test("broken mail still has a structure whose parts add up", () => {
  const cases: [string, string, RegExp][] = [
    ["empty", "", /^\("TEXT" "PLAIN" .* 0 0 NIL/],
    ["header only", "Subject: x\r\n", /^\("TEXT" "PLAIN" .* 0 0 NIL/],
    [
      "no end boundary",
      crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n"),
      /"7BIT" 3 1 .*"MIXED"/,
    ],
    [
      "no boundary parameter",
      crlf("Content-Type: multipart/mixed\n\n--b\n\nx\n"),
      /^\("APPLICATION" "OCTET-STREAM"/,
    ],
    ["no part at all", crlf("Content-Type: multipart/mixed; boundary=b\n\nnothing\n"), /^\(\("TEXT" "PLAIN"/],
    ["type without subtype", crlf("Content-Type: text\n\nx\n"), /^\("TEXT" "PLAIN"/],
    [
      "bare LF lines",
      "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n",
      /"7BIT" 1 0 .*"MIXED"/,
    ],
    [
      "boundary is a prefix of the inner one",
      crlf(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\nx\n--bb--\n--b--\n",
      ),
      /^\(\(\("TEXT".*"MIXED".*"MIXED"/,
    ],
    [
      "more behind a boundary, of a part and of the end",
      crlf("Content-Type: multipart/mixed; boundary=b\n\n--b one\n\nx\n--b-- end\nepilogue\n"),
      /^\(\("TEXT" "PLAIN" [^)]*\) NIL NIL "7BIT" 1 0 NIL NIL NIL NIL\) "MIXED"/,
    ],
    [
      "a message that is encoded",
      crlf("Content-Type: message/rfc822; name=m\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n"),
      /^\("APPLICATION" "OCTET-STREAM" \("NAME" "m"\) NIL NIL "BASE64" 18 NIL/,
    ],
    ["8-bit subject", "Subject: s\xc3\xbc\xdf\r\n\r\n", /^\("TEXT"/],
  ];
  for (const [name, text, structure] of cases) {
    const f = facts(text);
    assert.equal(f.sizeOctets, text.length, name);
    assert.match(latin1(bodyStructureOf(f.imap)), structure, name);
    const wire = latin1(f.imap);
    assert.doesNotMatch(wire.slice(13), /[^\x20-\x7e]/, name);
  }
});

Deno.test("limits: depth and number of parts end in octets of the enclosing part", () => {
  let text = "x\r\n";
  for (let i = 0; i < 200; i++) {
    text = `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n${text}\r\n--b${i}--\r\n`;
  }
  const depth = (part: PartSpan): number => 1 + Math.max(0, ...part.children.map(depth));
  assert.equal(depth(partsOf(facts(text).imap)), 51);
  const many = "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--b\r\n\r\n".repeat(20_000);
  assert.equal(partsOf(facts(many).imap).children.length, 9_999);
});

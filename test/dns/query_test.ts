/** What goes out, and which octets are taken for its answer. */
import assert from "node:assert/strict";
import { decodeMessage, encodeMessage, type Message } from "../../dns/message.ts";
import { buildQuery, judge, UDP_OCTETS } from "../../dns/query.ts";
import { TYPE_CODES } from "../../dns/rdata.ts";
import { reply, seededBelow } from "./fake_network.ts";

const SPEC = { name: "mail.example.test", type: TYPE_CODES.MX, mixedCase: true, edns: true };

Deno.test("ids and the case of letters are random", () => {
  const random = seededBelow(7);
  const queries = Array.from({ length: 50 }, () => buildQuery(SPEC, random));
  assert.ok(new Set(queries.map((query) => query.id)).size > 45);
  assert.ok(new Set(queries.map((query) => query.name)).size > 45);
  for (const query of queries) {
    const message = decodeMessage(query.octets)!;
    assert.equal(message.id, query.id);
    assert.deepEqual(message.questions, [{ name: query.name, type: TYPE_CODES.MX, class: 1 }]);
    assert.equal(query.name.toLowerCase(), SPEC.name);
    assert.equal(message.edns!.udpOctets, UDP_OCTETS);
    assert.ok(message.recursionDesired && !message.response);
  }
  const plain = buildQuery({ ...SPEC, mixedCase: false, edns: false }, random);
  assert.equal(plain.name, SPEC.name);
  assert.equal(decodeMessage(plain.octets)!.edns, null);
});

Deno.test("an answer must be the answer to the query", () => {
  const query = buildQuery(SPEC, seededBelow(3));
  const asked = decodeMessage(query.octets)!;
  const question = asked.questions[0]!;
  const swapped = question.name.replace(
    /[a-z]/i,
    (letter) => letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );
  const cases: [string, string, Partial<Message>][] = [
    ["as asked", "answer", {}],
    ["an error", "answer", { rcode: 2 }],
    ["a bare error", "answer", { rcode: 5, questions: [] }],
    ["a bare success", "foreign", { questions: [] }],
    ["a bare NXDOMAIN", "foreign", { rcode: 3, questions: [] }],
    ["another id", "foreign", { id: query.id ^ 1 }],
    ["a query", "foreign", { response: false }],
    ["another opcode", "foreign", { opcode: 4 }],
    ["another name", "foreign", { questions: [{ ...question, name: "mail.example.tesu" }] }],
    ["another type", "foreign", { questions: [{ ...question, type: 1 }] }],
    ["another class", "foreign", { questions: [{ ...question, class: 3 }] }],
    ["two questions", "foreign", { questions: [question, question] }],
    ["another case", "other-case", { questions: [{ ...question, name: swapped }] }],
    ["truncated", "truncated", { truncated: true }],
    ["FORMERR without EDNS", "no-edns", { rcode: 1, edns: null }],
    ["NOTIMP without EDNS", "no-edns", { rcode: 4, edns: null }],
    ["a bare FORMERR", "no-edns", { rcode: 1, edns: null, questions: [] }],
    ["FORMERR with EDNS", "answer", { rcode: 1 }],
    ["BADVERS", "no-edns", { rcode: 16 }],
  ];
  for (const [what, kind, parts] of cases) {
    assert.equal(judge(query, encodeMessage(reply(asked, parts))).kind, kind, what);
  }
  assert.equal(judge(query, new Uint8Array(0)).kind, "foreign");
  assert.equal(judge(query, query.octets.slice(0, 11)).kind, "foreign");
  assert.equal(judge(query, encodeMessage(reply(asked)).slice(0, 20)).kind, "malformed");
});

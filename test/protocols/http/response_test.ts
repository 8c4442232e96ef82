/** HTTP responses: every split reads the same, limits hold, garbage is a fault. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { encode, latin1 } from "../../../bytes/decode.ts";
import { HttpResponseReader } from "../../../protocols/http/response.ts";

const LIMITS = { headerOctets: 200, bodyOctets: 50 };

/** The status and body, or the fault, of a response that comes in two pieces. */
function read(text: string, split = text.length): string {
  const octets = encode(text);
  const reader = new HttpResponseReader(LIMITS);
  for (const piece of [octets.subarray(0, split), octets.subarray(split)]) {
    const step = reader.push(piece);
    if (step.kind === "done") return `${step.response.status} ${latin1(step.response.body)}`;
    if (step.kind === "fault") return step.text;
  }
  const step = reader.finish();
  return step.kind === "done"
    ? `${step.response.status} ${latin1(step.response.body)}`
    : step.kind === "fault"
    ? step.text
    : "need-input";
}

const CASES: [string, string][] = [
  ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 hi"],
  ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", "200 hi"],
  ["HTTP/1.0 200\r\n\r\nuntil the end", "200 until the end"],
  ["HTTP/1.1 204 No Content\r\n\r\n", "204 "],
  ["HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "404 "],
  [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
    "200 abcde",
  ],
  ["HTTP/1.1 200 OK\r\nContent-Length: 51\r\n\r\n", "the body is longer than 50 octets"],
  [`HTTP/1.1 200 OK\r\n\r\n${"x".repeat(51)}`, "the body is longer than 50 octets"],
  [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n33\r\n",
    "the body is longer than 50 octets",
  ],
  [`HTTP/1.1 200 OK\r\nX: ${"x".repeat(300)}\r\n\r\n`, "the header is longer than 200 octets"],
  ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "the response ends too early"],
  ["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhi", "Content-Length is -1"],
  ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi", "the transfer coding gzip is unknown"],
  ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "a chunk has no size"],
  ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naXX", "a chunk has no end"],
  ["SSH-2.0-x\r\n\r\n", "this is no HTTP response"],
  ["HTTP/1.1 200 OK\r\nbad line\r\n\r\n", "this is no HTTP response"],
];

Deno.test("responses and what is none, at every split", () => {
  for (const [text, expected] of CASES) {
    for (let split = 0; split <= text.length; split++) {
      assert.equal(read(text, split), expected, `${text} at ${split}`);
    }
  }
});

Deno.test("any octets end in a step", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "HTTP/1.1 200 OK\r\n",
      "\r\n",
      "Content-Length: 3",
      "Transfer-Encoding: chunked",
      "5\r\n",
    ),
    fc.string(),
  );
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    const reader = new HttpResponseReader(LIMITS);
    for (const text of pieces) if (reader.push(encode(text)).kind !== "need-input") return;
    reader.finish();
  }));
});

/** Header, body and boundaries of a structure put together again: nothing is missing, nothing is counted twice. */
import assert from "node:assert/strict";
import { latin1 } from "../../bytes/decode.ts";
import { fieldValue, scanFields } from "../../message/header.ts";
import type { PartSpan } from "../../message/packed.ts";
import { parameter, parseParameterized } from "../../message/parameter.ts";

/** What of a multipart is in none of its parts. */
export interface Gaps {
  readonly preamble: string;
  readonly epilogue: string;
}

/** Fails where the octets of the whole message are not those of its parts. */
export function octetsAddUp(message: Uint8Array, root: PartSpan, name: string): void {
  assert.equal(root.headerStart, 0, name);
  assert.equal(root.bodyEnd, message.length, name);
  partAddsUp(message, root, name);
}

function partAddsUp(message: Uint8Array, part: PartSpan, path: string): void {
  assert.equal(part.headerEnd, part.bodyStart, path);
  if (part.message !== null) {
    assert.equal(part.message.headerStart, part.bodyStart, path);
    assert.equal(part.message.bodyEnd, part.bodyEnd, path);
    partAddsUp(message, part.message, `${path} message`);
  } else if (part.contentType.startsWith("MULTIPART/")) {
    gapsOf(message, part);
    part.children.forEach((child, i) => partAddsUp(message, child, `${path} ${i + 1}`));
  }
}

/** Preamble and epilogue; fails where anything but one boundary line stands between two parts. */
export function gapsOf(message: Uint8Array, part: PartSpan): Gaps {
  const boundary = `--${boundaryOf(message, part)}`;
  const body = latin1(message, part.bodyStart, part.bodyEnd);
  const gaps: string[] = [];
  let at = part.bodyStart;
  for (const child of part.children) {
    gaps.push(latin1(message, at, child.headerStart));
    at = child.bodyEnd;
  }
  if (part.children.length === 0) return withoutParts(body, boundary);
  const last = latin1(message, at, part.bodyEnd);
  const first = lineOf(gaps[0]!, boundary);
  assert.equal(first.behind, "", "the first boundary line begins the first part");
  for (const gap of gaps.slice(1)) {
    const { before, behind } = lineOf(gap, boundary);
    assert.equal(before + behind, "", "one boundary line between two parts");
  }
  if (last === "") return { preamble: first.before, epilogue: "" };
  const { before, behind } = lineOf(last, `${boundary}--`);
  assert.equal(before, "", "the last part ends where its end boundary begins");
  return { preamble: first.before, epilogue: behind };
}

/** Only an end boundary, or none at all. */
function withoutParts(body: string, boundary: string): Gaps {
  if (!`\n${body}`.includes(`\n${boundary}`)) return { preamble: body, epilogue: "" };
  const { before, behind } = lineOf(body, `${boundary}--`);
  return { preamble: before, epilogue: behind };
}

/** Cuts a boundary line out, with its own line end and the one in front of it (RFC 2046 5.1.1). */
function lineOf(text: string, boundary: string): { readonly before: string; readonly behind: string } {
  const at = text.startsWith(boundary) ? 0 : text.indexOf(`\n${boundary}`) + 1;
  assert.ok(at > 0 || text.startsWith(boundary), `${JSON.stringify(text)} has no ${boundary}`);
  const end = text.indexOf("\n", at);
  return { before: text.slice(0, at).replace(/\r?\n$/, ""), behind: end < 0 ? "" : text.slice(end + 1) };
}

function boundaryOf(message: Uint8Array, part: PartSpan): string {
  const header = message.subarray(part.headerStart, part.headerEnd);
  const field = scanFields(header, 0, header.length).find(({ name }) => name === "content-type")!;
  return parameter(parseParameterized(fieldValue(header, field)), "boundary")!;
}

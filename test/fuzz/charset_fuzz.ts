/**
 * Seeded mutation of texts in charsets that TextDecoder lacks, as octets of a part and inside an encoded word.
 *
 * Nothing throws; what is decoded grows no further than a character for each octet; ASCII without a shift stays what it is;
 * time is bounded by the size.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { decodeCharset } from "../../message/charset.ts";
import { decodeHeaderText } from "../../message/encoded_word.ts";
import { fuzz, mutate, type Random } from "./fuzzing.ts";

const CHARSETS = [
  "hz-gb-2312",
  "iso-2022-kr",
  "iso-2022-cn",
  "utf-7",
  "utf-32",
  "utf-32le",
  "cp437",
  "x-mac-ce",
];
const SEEDS = [
  "in GB.~{<:Ky2;S{#,NpJ)l6HK!#~}Bye.~~ ~\r\nmore",
  "\x1b$)C\x0eGQ19\x0f, \x0eGQ19\x0f.\r\nabc",
  "\x1b$)A\x0e=;;;\x1b$*H\x1bN!!\x0f ok \x1b$)G\x0eGf\x0f.\r\n",
  "Hi Mom -+Jjo--! A+ImIDkQ. +ZeVnLIqe-",
  "\0\0\xfe\xff\0\0\0\xe9\0\0\0t\0\x01\xf6\0",
];
const TOKENS = [
  "~{",
  "~}",
  "~~",
  "~\n",
  "~\r\n",
  "\x1b$)A",
  "\x1b$)C",
  "\x1b$)G",
  "\x1bN",
  "\x1b",
  "\x0e",
  "\x0f",
  ..."+-~{}\0\xff\xd6\n$",
  "a".repeat(2_000),
  "~{".repeat(500),
  "\x1bN".repeat(500),
  "+AOk".repeat(500),
];
const MAX_MS = 2_000;

function make(random: Random): Uint8Array {
  return encodeLatin1(mutate(random, random.pick(SEEDS), { tokens: TOKENS, maxChanges: 8 }));
}

export function checkCharset(input: Uint8Array): void {
  const begin = performance.now();
  for (const charset of CHARSETS) {
    const text = decodeCharset(input, charset);
    assert.ok(text !== null && text.length <= 2 * input.length, charset);
    const word = `=?${charset}?B?${btoa(latin1(input))}?=`;
    assert.equal(decodeHeaderText(word), text, charset);
  }
  const plain = latin1(input).replace(/[^\x20-\x7d]|\+/g, "");
  for (const charset of CHARSETS.filter((name) => !name.startsWith("utf-32"))) {
    assert.equal(decodeCharset(encodeLatin1(plain), charset), plain, charset);
  }
  assert.ok(performance.now() - begin < MAX_MS);
}

export function fuzzCharset(seed: number, runs: number): void {
  fuzz({ make, check: checkCharset }, seed, runs);
}

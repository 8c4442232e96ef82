/** Words, HTML as text, and queries: tables. */
import assert from "node:assert/strict";
import { htmlText } from "../../message/html_text.ts";
import { substringQuery, wordsQuery } from "../../search/query.ts";
import { MAX_WORD, MAX_WORDS, wantedWords, wordMatch, wordsOf } from "../../search/words.ts";

function words(text: string): string[] {
  const found = new Set<string>();
  wordsOf(text, found);
  return [...found];
}

Deno.test("words are without case, marks and compatibility forms, in any script", () => {
  const table: [string, string[]][] = [
    ["Hello, World-wide 2nd x_y", ["hello", "world", "wide", "2nd", "x", "y"]],
    ["Crème BRÛLÉE", ["creme", "brulee"]],
    ["Straße STRAẞE ﬁne Ⅷ", ["strasse", "fine", "viii"]],
    ["Łódź Øresund cœur Đorđe Diyarbakır", ["lodz", "oresund", "coeur", "dorde", "diyarbakir"]],
    ["ΟΔΟΣ οδός", ["οδοσ"]],
    ["Привет", ["привет"]],
    ["한국어", ["한국어"]],
    ["東京都 de", ["東京", "京都", "都", "de"]],
    ["カ", ["カ"]],
    ["a🙂b", ["a", "b"]],
    ["", []],
  ];
  for (const [text, expected] of table) assert.deepEqual(words(text), expected, text);
  assert.deepEqual(words("x".repeat(1000)), ["x".repeat(MAX_WORD)]);
  assert.equal(words(Array.from({ length: MAX_WORDS + 10 }, (_, i) => `w${i}`).join(" ")).length, MAX_WORDS);
});

Deno.test("a fuzzy search wants words or their beginnings, and says how well a text answers", () => {
  assert.deepEqual(wantedWords("Crème 東京 x"), [
    { word: "creme", prefix: true },
    { word: "東京", prefix: false },
    { word: "x", prefix: false },
  ]);
  assert.deepEqual(wantedWords("都"), [{ word: "都", prefix: true }]);
  const text = new Set(words("The quick brown fox, 東京都"));
  const table: [string, number][] = [
    ["fox quick", 1],
    ["bro", 0.5],
    ["fox bro", 0.75],
    ["fox cat", 0],
    ["京都", 1],
    ["京", 0.5],
    ["都", 1],
    ["", 0],
    ["-", 0],
  ];
  for (const [needle, expected] of table) {
    assert.equal(wordMatch(text, wantedWords(needle)), expected, needle);
  }
});

Deno.test("queries quote everything; under three characters there is none", () => {
  assert.equal(substringQuery("ab"), null);
  assert.equal(substringQuery("🙂🙂"), null);
  assert.equal(substringQuery('a"bc'), '"a""b" AND """bc"');
  assert.equal(substringQuery("aaaa"), '"aaa"');
  assert.equal(substringQuery("日本語x"), '"日本語" AND "本語x"');
  assert.equal(
    (substringQuery(Array.from({ length: 500 }, (_, i) => i).join("")) ?? "").split(" AND ").length,
    64,
  );
  assert.equal(wordsQuery(wantedWords("foo x")), '"foo"* AND "x"');
  assert.equal(wordsQuery([]), null);
});

Deno.test("HTML becomes what a reader sees, roughly", () => {
  const table: [string, string][] = [
    ["<p>One</p><p>two", " One  two"],
    ["a<b>b</b>c", "abc"],
    ["x<style type=a>p{}</STYLE >y", "x y"],
    ["x<script>if(a<b)</script>y<!-- <p> -->z", "x y z"],
    ["&lt;a&gt; &amp; &#65;&#x42; &nope; &", "<a> & AB &nope; &"],
    ["x<style>never closed", "x "],
    ["x<unclosed", "x "],
    ["x<!-- unclosed", "x "],
    ["<styles>not hidden</styles>", " not hidden "],
  ];
  for (const [html, expected] of table) assert.equal(htmlText(html), expected, html);
});

Deno.test("hostile HTML costs a straight line", () => {
  for (const piece of ["<style", "<!--", "<", "&#", "<script>", "</style"]) {
    const begin = performance.now();
    htmlText(piece.repeat(400_000));
    const took = performance.now() - begin;
    assert.ok(took < 10_000, `${piece}: ${took} ms`);
  }
});

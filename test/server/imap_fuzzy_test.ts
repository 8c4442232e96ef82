/** SEARCH=FUZZY (RFC 6203): words in any order, without marks, by their beginnings; how well they match. */
import assert from "node:assert/strict";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { imapTest } from "./imap_harness.ts";

const MESSAGES = [
  "Subject: quarterly report\r\n\r\nnothing else\r\n",
  "Subject: hello\r\n\r\nthe report of this quarter, quarterly as ever\r\n",
  "Subject: =?utf-8?q?Cr=C3=A8me_br=C3=BBl=C3=A9e?=\r\n\r\ndessert\r\n",
  "Subject: reports\r\n\r\nquarterlies\r\n",
  "Subject: html\r\nContent-Type: text/html\r\n\r\n<p class=report>re<b>port</b> <i>quarterly</i></p>\r\n",
];

imapTest("words are found in any order, by their beginnings and without marks", async (harness) => {
  for (const message of MESSAGES) await harness.deliver(message);
  const client = await harness.selected();
  const table: [string, string][] = [
    ["TEXT {16}quarterly report", "1 2 5"],
    ["TEXT {16}REPORT quarterly", "1 2 5"],
    ["SUBJECT {16}report quarterly", "1"],
    ["SUBJECT repo", "1 4"],
    ["BODY {12}creme brulee", ""],
    ["TEXT {12}creme brulee", "3"],
    ["(SUBJECT report UID 4)", "4"],
    ["NOT TEXT report", "3"],
    ["BODY class", ""], // a mark-up word is none
    ["BODY {1},", "2"],
    ["ALL", "1 2 3 4 5"],
  ];
  for (const [key, expected] of table) {
    const line = key.replace(/\{(\d+)\}(.*?)(?=\)|$)/, (_, __, text) => `"${text}"`);
    const [found] = (await client.ok(`SEARCH FUZZY ${line}`)).split("\r\n");
    assert.equal(found, `* SEARCH${expected && ` ${expected}`}`, line);
  }
  assert.match(await client.ok('SEARCH TEXT "report quarterly"'), /^\* SEARCH\r\n/);
});

imapTest("the relevancy is told, sorted by, and needs FUZZY", async (harness) => {
  for (const message of MESSAGES) await harness.deliver(message);
  const client = await harness.selected();
  const search = 'FUZZY TEXT "report quarterly"';
  assert.match(
    await client.ok(`SEARCH RETURN (RELEVANCY ALL) ${search}`),
    /^\* ESEARCH \(TAG "t3"\) ALL 1:2,5 RELEVANCY \(100 60 60\)\r\n/,
  );
  assert.match(
    await client.ok("SORT RETURN (RELEVANCY ALL) (REVERSE RELEVANCY ARRIVAL) UTF-8 FUZZY TEXT report"),
    / ALL 4,2,5,1 RELEVANCY \(50 60 60 100\)\r\n/,
  );
  assert.match(await client.ok(`SORT (RELEVANCY) UTF-8 ${search}`), /^\* SORT 1 2 5\r\n/);
  assert.match(await client.ok(`SORT (REVERSE RELEVANCY) UTF-8 ${search}`), /^\* SORT 2 5 1\r\n/);
  assert.match(
    await client.ok(`SEARCH RETURN (RELEVANCY PARTIAL 2:3) ${search}`),
    / PARTIAL \(2:3 2,5\) RELEVANCY \(60 60\)\r\n/,
  );
  assert.match(await client.ok("SEARCH RETURN (RELEVANCY) FUZZY TEXT nowhere"), / RELEVANCY \(\)\r\n/);
  assert.match(await client.command("SEARCH RETURN (RELEVANCY) TEXT a"), /^BAD .*FUZZY/);
  assert.match(await client.command("SORT (RELEVANCY) UTF-8 ALL"), /^BAD .*FUZZY/);
});

imapTest("prefix lines count, and a hit without its text has the least relevancy", async (harness) => {
  await harness.deliver("Subject: a\r\n\r\nkettle\r\n", {
    prefix: encodeLatin1("Keywords: teapot\r\n"),
    flags: 1,
  });
  const client = await harness.selected();
  assert.match(await client.ok("SEARCH RETURN (RELEVANCY) FUZZY TEXT teapot"), /RELEVANCY \(80\)/);
  assert.match(await client.ok("SEARCH RETURN (RELEVANCY) OR SEEN FUZZY TEXT teapot"), /RELEVANCY \(1\)/);
});

/** RFC 3834 as a table, and the header of what we send by ourselves. */
import { deepStrictEqual as equal, ok } from "node:assert";
import { type Answerable, composeAutomatic, noReply, REPLY_AGAIN_MS } from "../../delivery/auto_reply.ts";
import { FactsBuilder } from "../../message/facts.ts";

const PLAIN: Answerable = {
  sender: "friend@remote.example",
  autoSubmitted: null,
  precedence: null,
  fromList: false,
  namedRecipients: ["alice@example.test"],
  own: ["alice@example.test", "al@example.test"],
  lastReplyAt: null,
  now: 10 * REPLY_AGAIN_MS,
};

const TABLE: [name: string, change: Partial<Answerable>, answer: string | null][] = [
  ["a person's message to us", {}, null],
  ["by another address of ours", { namedRecipients: ["al@example.test"] }, null],
  ["Auto-Submitted: no", { autoSubmitted: "no" }, null],
  ["Auto-Submitted: No (a comment)", { autoSubmitted: " No (a comment)" }, null],
  ["the null path", { sender: "" }, "null-sender"],
  ["ourselves", { sender: "al@example.test" }, "own-address"],
  ["mailer-daemon", { sender: "MAILER-DAEMON@remote.example" }, "no-person"],
  ["a list's owner", { sender: "owner-list@remote.example" }, "no-person"],
  ["a list's requests", { sender: "list-request@remote.example" }, "no-person"],
  ["noreply", { sender: "no-reply@remote.example" }, "no-person"],
  ["auto-replied", { autoSubmitted: "auto-replied" }, "automatic"],
  ["auto-generated with parameters", { autoSubmitted: "auto-generated; x=y" }, "automatic"],
  ["a word we do not know", { autoSubmitted: "nope" }, "automatic"],
  ["a list", { fromList: true }, "list"],
  ["Precedence: bulk", { precedence: "Bulk" }, "list"],
  ["a blind copy", { namedRecipients: ["other@example.test"] }, "not-named"],
  ["answered a day ago", { lastReplyAt: 10 * REPLY_AGAIN_MS - 86_400_000 }, "answered-lately"],
  ["answered a week ago", { lastReplyAt: 9 * REPLY_AGAIN_MS }, null],
];

for (const [name, change, answer] of TABLE) {
  Deno.test(`an automatic answer to ${name}: ${answer ?? "may be sent"}`, () => {
    equal(noReply({ ...PLAIN, ...change }), answer);
  });
}

Deno.test("what we send by ourselves says so, and gets no automatic answer of ours", () => {
  const octets = composeAutomatic({
    kind: "auto-replied",
    from: "postmaster@mx.example.test",
    to: "<friend@remote.example>",
    subject: "Away",
    date: 0,
    messageId: "<1@mx.example.test>",
    inReplyTo: "<9@remote.example>",
    text: ["Hello", "there"],
  });
  const text = new TextDecoder().decode(octets);
  ok(/\r\nAuto-Submitted: auto-replied\r\n/.test(text));
  ok(/\r\nIn-Reply-To: <9@remote\.example>\r\nReferences: <9@remote\.example>\r\n/.test(text));
  ok(text.endsWith("\r\n\r\nHello\r\nthere\r\n"));
  ok(!/[^\r]\n/.test(text));
  const facts = new FactsBuilder();
  facts.push(octets, 0, octets.length);
  equal(facts.finish().messageId, "<1@mx.example.test>");
  equal(noReply({ ...PLAIN, autoSubmitted: "auto-replied" }), "automatic");
});

/** Base subjects and threads as tables (RFC 5256 2.1, 3). */
import assert from "node:assert/strict";
import { unicodeCasemap } from "../../../bytes/casemap.ts";
import { baseSubject } from "../../../protocols/imap/base_subject.ts";
import { mergeOrder } from "../../../protocols/imap/merge_order.ts";
import { formatThreads } from "../../../protocols/imap/format/thread.ts";
import { ReferenceChains } from "../../../protocols/imap/reference_chains.ts";
import { thread, type ThreadAlgorithm } from "../../../protocols/imap/thread.ts";
import { formatPlain, plainThread, type ThreadMessage } from "./plain_thread.ts";

Deno.test("base subjects", () => {
  for (
    const [subject, base, answers] of [
      ["hello", "hello", false],
      ["Re: hello", "hello", true],
      ["RE: Fwd: [list] re [x]:  hello  (fwd)", "hello", true],
      ["[fwd: Re: hello]", "hello", true],
      ["[list]", "[list]", false],
      ["  a \t b ", "a b", false],
      ["Regards", "Regards", false],
      ["", "", false],
    ] as const
  ) assert.deepEqual(baseSubject(subject), { base, answers }, subject);
});

/** `number date id references subject`, one message a line. */
function messagesOf(text: string): ThreadMessage[] {
  return text.trim().split("\n").map((line) => {
    const [number = "", date = "", id = "", references = "", subject = ""] = line.trim().split("|");
    const { base, answers } = baseSubject(subject);
    return {
      number: Number(number),
      date: Number(date),
      messageId: id === "" ? null : id,
      references: references === "" ? [] : references.split(" "),
      subject: base,
      answers,
    };
  });
}

function threads(text: string, algorithm: ThreadAlgorithm): string {
  return packed(messagesOf(text), algorithm);
}

/** As the server does it: by numbers. `chains` may hold other messages already. */
function packed(
  messages: readonly ThreadMessage[],
  algorithm: ThreadAlgorithm,
  references = new ReferenceChains(),
): string {
  const { value } = finish(threadsOf(messages, algorithm, references));
  const decoder = new TextDecoder();
  let text = "";
  for (const piece of formatThreads(value, messages.map(({ number }) => number))) {
    text += decoder.decode(piece);
  }
  return text;
}

function threadsOf(
  messages: readonly ThreadMessage[],
  algorithm: ThreadAlgorithm,
  references = new ReferenceChains(),
) {
  const dates = [...new Set(messages.map(({ date }) => date))].sort((a, b) => a - b);
  const subjects = [...new Set(messages.map(({ subject }) => unicodeCasemap(subject)))].sort();
  const rankOf = <T>(values: readonly T[]) => {
    const ranks = new Map(values.map((value, rank) => [value, rank]));
    return (value: T) => ranks.get(value)!;
  };
  const [dateRank, subjectRank] = [rankOf(dates), rankOf(subjects)];
  return thread({
    count: messages.length,
    dates: Uint32Array.from(messages, ({ date }) => dateRank(date)),
    distinctDates: dates.length,
    subjects: Uint32Array.from(messages, ({ subject }) => subjectRank(unicodeCasemap(subject))),
    distinctSubjects: subjects.length,
    emptySubject: subjects.indexOf(""),
    answers: Uint8Array.from(messages, ({ answers }) => answers ? 1 : 0),
    ids: Int32Array.from(messages, ({ messageId }) => messageId === null ? -1 : references.idOf(messageId)),
    chains: Int32Array.from(messages, (message) => references.chainOf(message.references.join(" "))),
    references,
  }, algorithm);
}

/** Runs to the end, without a pause. */
function finish<T>(steps: Generator<void, T>): { readonly value: T; readonly pauses: number } {
  for (let pauses = 0;; pauses++) {
    const step = steps.next();
    if (step.done === true) return { value: step.value, pauses };
  }
}

Deno.test("threads and orders are made in slices", () => {
  const messages = Array.from({ length: 60_000 }, (_, at) => ({
    number: at + 1,
    date: (at * 7_919) % 60_000,
    messageId: `m${at}`,
    references: at % 3 === 0 ? [] : [`m${at - 1}`],
    subject: `s${at % 1_000}`,
    answers: false,
  }));
  for (const algorithm of ["REFERENCES", "REFS", "ORDEREDSUBJECT"] as const) {
    const { pauses } = finish(threadsOf(messages, algorithm));
    assert.ok(pauses > 8, `${algorithm}: ${pauses}`);
  }
  const values = messages.map(({ date }) => date);
  const { value, pauses } = finish(mergeOrder(values.length, (a, b) => values[a]! % 97 - values[b]! % 97));
  const plain = values.map((_, at) => at).sort((a, b) => values[a]! % 97 - values[b]! % 97);
  assert.deepEqual([...value], plain, "as a stable sort has it");
  assert.ok(pauses > 10);
});

Deno.test("THREAD=REFERENCES", () => {
  for (
    const [name, text, expected] of [
      ["chain", "1|1|a||x\n2|2|b|a|Re: x\n3|3|c|a b|Re: x", "(1 2 3)"],
      ["branches", "1|1|a||x\n2|2|b|a|Re: x\n3|3|c|a|Re: x\n4|4|d|a b|Re: x", "(1 (2 4)(3))"],
      ["parent missing", "1|1|b|a|Re: x\n2|2|c|a|Re: x", "((1)(2))"],
      ["one child of a missing one", "1|1|b|a|Re: x", "(1)"],
      ["subject joins a reply", "1|1|a||x\n2|2|b||Re: x\n3|3|c||y", "(1 2)(3)"],
      ["subject joins siblings", "1|1|a||x\n2|2|b||x", "((1)(2))"],
      ["same id twice", "1|1|a||x\n2|2|a||y\n3|3|c|a|z", "(1 3)(2)"],
      ["loop", "1|1|a|b|x\n2|2|b|a|x", "(2 1)"],
      ["itself", "1|1|a|a|x", "(1)"],
      ["later parent first", "1|9|b|a|Re: x\n2|1|a||x\n3|5|c||y", "(2 1)(3)"],
    ] as const
  ) assert.equal(threads(text, "REFERENCES"), expected, name);
});

Deno.test("THREAD=REFS joins no subjects and goes by the newest message; ORDEREDSUBJECT goes by subject", () => {
  const text = "1|1|a||x\n2|2|b||Re: x\n3|3|c|a|Re: x";
  assert.equal(threads(text, "REFS"), "(2)(1 3)");
  assert.equal(threads("1|3|a||X\n2|2|b||y\n3|1|c||Re: x\n4|4|d||x", "ORDEREDSUBJECT"), "(3 (1)(4))(2)");
});

Deno.test("a chain of 50,000 replies is threaded without recursion", () => {
  const lines = Array.from(
    { length: 50_000 },
    (_, at) => `${at + 1}|${at}|m${at}|${at ? `m${at - 1}` : ""}|x`,
  );
  const started = processorMs();
  assert.equal(threads(lines.join("\n"), "REFERENCES").length, 1 + 50_000 * 6 - 11_106);
  assert.ok(processorMs() - started < 2_000);
});

Deno.test("chains and crowds below messages that are not here cost a straight line", () => {
  const count = 50_000;
  const comb = Array.from({ length: count }, (_, at) => `${at + 1}|${at}|m${at}|x${at} x${at + 1}|s${at}`);
  const crowd = Array.from({ length: 200_000 }, (_, at) => `${at + 1}|${at}|m${at}|x|s${at}`);
  for (const lines of [comb, crowd]) {
    const started = processorMs();
    const text = threads(lines.join("\n"), "REFS");
    assert.equal(text.match(/\d+/g)?.length, lines.length);
    assert.ok(processorMs() - started < 5_000, `${Math.round(processorMs() - started)} ms`);
  }
});

Deno.test("by numbers as by texts, for messages of every kind, and for some of those that chains are known of", () => {
  for (let seed = 1; seed <= 3_000; seed++) {
    let state = seed;
    const below = (limit: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor(state / 2 ** 32 * limit);
    };
    const count = below(12), ids = 1 + below(10);
    const all = Array.from({ length: count }, (_, at): ThreadMessage => ({
      number: at + 1,
      date: below(6),
      messageId: below(6) === 0 ? null : `m${below(ids)}`,
      references: Array.from({ length: below(4) }, () => `m${below(ids)}`),
      subject: ["", "a", "A", "b", "c"][below(5)]!,
      answers: below(2) === 0,
    }));
    const references = new ReferenceChains();
    for (const messages of [all, all.filter(() => below(3) > 0)]) {
      for (const algorithm of ["REFERENCES", "REFS", "ORDEREDSUBJECT"] as const) {
        const expected = [...formatPlain(finish(plainThread(messages, algorithm)).value)].join("");
        assert.equal(packed(messages, algorithm, references), expected, `seed ${seed} ${algorithm}`);
      }
    }
  }
});

Deno.test("chains that begin alike are kept once; an id that ends many chains costs a few looks each", () => {
  const references = new ReferenceChains();
  const ids: string[] = [];
  for (let at = 0; at < 1_000; at++) {
    ids.push(`m${at}`);
    references.chainOf(ids.join(" "));
  }
  const chain = references.chainOf("a b c");
  assert.equal(references.chainOf("a b c"), chain);
  assert.equal(references.linkCount, 1_003);
  assert.equal(references.chainOf(""), -1);
  const started = processorMs();
  for (let at = 0; at < 100_000; at++) references.chainOf(`r${at} same`);
  assert.ok(processorMs() - started < 5_000);
});

/** Of this thread: what else the machine does must not count. */
function processorMs(): number {
  return Number(Deno.readTextFileSync("/proc/thread-self/schedstat").split(" ")[0]) / 1e6;
}

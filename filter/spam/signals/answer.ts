import type { Signal } from "../signal.ts";

export const answer: Signal = {
  name: "answer",
  weight: -1.5,
  explain: "it answers a message",
  find: ({ mail }) =>
    (mail.has("in-reply-to") || mail.has("references")) &&
    (/^(?:re|aw|sv|antw|vs|ref)\b|\[/i.test(mail.subject) ? 1 : 0.5),
};

import type { Signal } from "../signal.ts";

export const noMessageId: Signal = {
  name: "no-message-id",
  weight: 1.5,
  explain: "it has no Message-ID",
  find: ({ mail }) => !mail.has("message-id"),
};

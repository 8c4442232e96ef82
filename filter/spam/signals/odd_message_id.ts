import type { Signal } from "../signal.ts";

export const oddMessageId: Signal = {
  name: "odd-message-id",
  weight: 1.2,
  explain: "its Message-ID is not as programs make them",
  find: ({ mail }) => {
    const id = mail.first("message-id");
    return id !== "" && !/^<[^<>@\s]+@[^<>@\s]*[a-z0-9\]]>$/i.test(id.trim());
  },
};

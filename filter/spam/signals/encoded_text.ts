import type { Signal } from "../signal.ts";

export const encodedText: Signal = {
  name: "encoded-text",
  weight: 0.9,
  explain: "its text is encoded without need",
  find: ({ mail }) =>
    mail.leaves.some(({ type, encoding, attached }) =>
      encoding === "base64" && type.startsWith("text/") && !attached
    ) && !/[\u0080-\uffff]/.test(mail.text),
};

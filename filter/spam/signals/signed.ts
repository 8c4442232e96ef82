import type { Signal } from "../signal.ts";

export const signed: Signal = {
  name: "signed",
  weight: -1,
  explain: "it is signed by its author",
  find: ({ mail }) =>
    mail.type === "multipart/signed" || mail.plain.some((text) => text.includes("-----BEGIN PGP SIGNED")),
};

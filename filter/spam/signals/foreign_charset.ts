import type { Signal } from "../signal.ts";

export const foreignCharset: Signal = {
  name: "foreign-charset",
  weight: 0.9,
  explain: "its charset is not that of the language it is addressed in",
  find: ({ mail }) =>
    mail.leaves.some(({ charset, type }) =>
      type.startsWith("text/") && /^(?:big5|gb|euc-|ks_c|koi8|windows-1251|iso-2022-(?:kr|cn))/.test(charset)
    ) && !/[\u0080-\uffff]/.test(mail.subject.replace(/[\u2000-\u206f]/g, "")),
};

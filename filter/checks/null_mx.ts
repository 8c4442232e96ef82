/** Senders whose domain takes no mail: nobody can answer them (RFC 7505 4.2). */
import type { Check } from "../check.ts";
import { type Lookup, recordsOf } from "../lookup.ts";
import { type Action, CONTINUE, type Verdict } from "../verdict.ts";

const NULL_MX = { code: 550, enhanced: "5.7.27", text: "The sender's domain accepts no mail" };

/** `isLocal` spares our own domains the question. */
export function nullMx(
  { lookup, action, isLocal }: { lookup: Lookup; action: Action; isLocal: (domain: string) => boolean },
): Check {
  return {
    name: "null-mx",
    stages: ["mail"],
    run({ sender }) {
      const domain = domainOf(sender ?? "");
      if (domain === "" || domain.startsWith("[") || isLocal(domain)) return CONTINUE;
      const answer = lookup.resolve(domain, "MX");
      const judge = (records: ReturnType<typeof recordsOf<"MX">>): Verdict =>
        records?.length === 1 && records[0]!.exchange === "."
          ? { action, reason: `${domain} publishes a null MX`, reply: NULL_MX }
          : CONTINUE;
      return answer instanceof Promise
        ? answer.then((late) => judge(recordsOf(late)))
        : judge(recordsOf(answer));
    },
  };
}

/** Lower case; "" where there is none. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1 || address.length).toLowerCase();
}

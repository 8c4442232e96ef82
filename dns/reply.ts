/** A message as the reply to a question, and how both look in a trace. Pure. */
import { isWithin } from "./name.ts";
import type { Message } from "./message.ts";
import { RCODES } from "./message.ts";
import { typeName } from "./rdata.ts";
import { rrsetsOf, signatureSet } from "./rrset.ts";
import type { Reply, SourceQuestion } from "./source.ts";

/** With `zone`: only what the servers of that zone have a say in (RFC 5452 6). */
export function replyOf(message: Message, about: { name: string; from: string; zone?: string }): Reply {
  const { zone, from } = about;
  const ours = zone === undefined
    ? (section: Message["answers"]) => section
    : (section: Message["answers"]) => section.filter(({ name }) => isWithin(name, zone));
  const answers = ours(message.answers);
  const signatures = signatureSet(answers, about.name);
  return {
    rcode: message.rcode,
    answers: signatures === null ? rrsetsOf(answers) : [...rrsetsOf(answers), signatures],
    authorities: rrsetsOf(ours(message.authorities)),
    from,
  };
}

export function describe({ name, type }: SourceQuestion): string {
  return `${name} ${typeName(type)}`;
}

export function summary({ rcode, answers, authorities }: Reply): string {
  const sets = (section: Reply["answers"]) =>
    section.filter(({ type }) => typeName(type) !== "RRSIG").map(({ name, type, records, signatures }) =>
      `${name} ${typeName(type)} x ${records.length}${signatures.length > 0 ? " signed" : ""}`
    ).join(", ");
  const code = rcode === RCODES.NXDOMAIN ? "NXDOMAIN" : "NOERROR";
  return answers.length > 0
    ? `${code}: ${sets(answers)}`
    : `${code}, no records; ${sets(authorities) || "no authority"}`;
}

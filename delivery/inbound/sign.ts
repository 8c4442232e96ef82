/** Our names under what leaves: DKIM signatures of mail that is ours to sign, ARC seals of what scripts redirect. */
import { resultsValue } from "../../mailauth/authentication_results.ts";
import { methodResults } from "../../mailauth/findings_text.ts";
import type { SenderFindings } from "../../mailauth/sender_check.ts";
import type { MessageFacts } from "../../message/facts.ts";
import type { Spool } from "../../storage/store.ts";
import { bodyDigest, hasEightBitFrom } from "../front_fields.ts";
import { reencodeSevenBit } from "../long_lines.ts";
import { authorKeys, sealFront, signFront } from "../signing.ts";
import type { Mail } from "./mail.ts";

/**
 * DKIM for what leaves by us in the name of a domain of ours. What a login submits is made 7-bit first, so that no relay
 * has to (RFC 6376 5.3); what a trusted network sends is signed as it came.
 */
export function sign(mail: Mail): Promise<null> | null {
  if (mail.envelope.filing.remote === 0) return null;
  if (mail.mayRelay) return signed(mail);
  return mail.findings === null ? null : handedOn(mail, mail.findings);
}

/** Mail of strangers that goes on to others: what was found goes inside, sealed (ARC) where it is we who send it on. */
async function handedOn(mail: Mail, findings: SenderFindings): Promise<null> {
  const { arc } = findings;
  const { content, envelope: { sender, filing }, setting: { options: { store, clock, hostname } } } = mail;
  const domains = filing.forwardingDomains();
  let seal = "";
  if (arc !== null && domains.length > 0) {
    const { spool, message: { headerOctets } } = content;
    const header = await spool.read(0, headerOctets);
    const bodyHash = await bodyDigest(spool, headerOctets);
    const results = resultsValue(hostname, methodResults(findings, { sender }));
    seal = await sealFront(store, { domains, header, bodyHash, chain: arc, results, now: clock() });
  }
  const front = seal + mail.front;
  mail.front = "";
  if (front !== "") await content.putInFront(front);
  return null;
}

async function signed({ content, setting: { options: { store, clock } } }: Mail): Promise<null> {
  const keys = authorKeys(store, await content.spool.read(0, content.message.headerOctets));
  if (keys.length === 0) return null;
  if (content.submitted && content.eightBit) {
    await content.rewrite(reencodeSevenBit);
    content.eightBit = await hasEightBitFrom(content.spool, 0);
  }
  const { spool, message: { headerOctets } } = content;
  const header = await spool.read(0, headerOctets);
  const bodyHash = await bodyDigest(spool, headerOctets);
  await content.putInFront(await signFront(keys, { header, bodyHash, now: clock() }));
  return null;
}

/** What goes in front of mail that a script redirects: our signature where it is ours to sign, else a seal of `domain`. */
export async function redirectFront(
  { mayRelay, findings, envelope: { sender }, setting: { options } }: Mail,
  { spool, message: { headerOctets }, domain }: {
    readonly spool: Spool;
    readonly message: MessageFacts;
    /** Null where it is sealed already. */
    readonly domain: string | null;
  },
): Promise<string> {
  const { store, clock, hostname } = options;
  const now = clock();
  const header = await spool.read(0, headerOctets);
  if (mayRelay) {
    const keys = authorKeys(store, header);
    return keys.length === 0
      ? ""
      : await signFront(keys, { header, bodyHash: await bodyDigest(spool, headerOctets), now });
  }
  const chain = findings?.arc ?? null;
  if (findings === null || chain === null || domain === null) return "";
  const results = resultsValue(hostname, methodResults(findings, { sender }));
  const bodyHash = await bodyDigest(spool, headerOctets);
  return await sealFront(store, { domains: [domain], header, bodyHash, chain, results, now });
}

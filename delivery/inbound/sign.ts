/** Our names under what leaves: DKIM signatures of mail that is ours to sign, ARC seals of what we send on. */
import { resultsValue } from "../../mailauth/authentication_results.ts";
import { methodResults } from "../../mailauth/findings_text.ts";
import { bodyDigest, hasEightBitFrom } from "../front_fields.ts";
import { reencodeSevenBit } from "../long_lines.ts";
import { authorKeys, sealFront, signFront } from "../signing.ts";
import type { Found } from "../scripts/redirect_front.ts";
import type { Mail } from "./mail.ts";

/**
 * DKIM for what leaves by us in the name of a domain of ours. What a login submits is made 7-bit first, so that no relay
 * has to (RFC 6376 5.3); what a trusted network sends is signed as it came.
 */
export function sign(mail: Mail): Promise<null> | null {
  if (mail.envelope.filing.remote === 0) return null;
  if (mail.mayRelay) return signed(mail);
  return mail.findings === null ? null : handedOn(mail);
}

/** Mail of strangers that goes on to others: what was found goes inside, sealed (ARC) where it is we who send it on. */
async function handedOn(mail: Mail): Promise<null> {
  const { content, envelope: { filing }, setting: { options: { store, clock } } } = mail;
  const domains = filing.forwardingDomains();
  const found = domains.length === 0 ? null : foundOf(mail);
  let seal = "";
  if (found !== null) {
    const { spool, message: { headerOctets } } = content;
    const header = await spool.read(0, headerOctets);
    const bodyHash = await bodyDigest(spool, headerOctets);
    seal = await sealFront(store, { domains, header, bodyHash, now: clock(), ...found });
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

/** What was found, for a script that sends the message on; null where there is nothing to seal. */
export function foundOf({ findings, envelope: { sender }, setting: { options } }: Mail): Found | null {
  const chain = findings?.arc ?? null;
  if (findings === null || chain === null) return null;
  return { chain, results: resultsValue(options.hostname, methodResults(findings, { sender })) };
}

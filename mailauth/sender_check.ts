/**
 * All checks of who sent a message, side by side: iprev, SPF, DKIM, ARC, and DMARC over them.
 *
 * The header is gathered while it streams, then the body is hashed for every signature in the same pass: nothing is read
 * twice. SPF and iprev ask DNS from the start. What DNS is known to say costs no wait; where something is waited for, one
 * deadline covers all: what is not known by then is `temperror`, and so is what DNS cannot answer. Never rejects for what a peer or DNS did. Hot: bench/micro/inbound_bench.ts.
 */
import { domainToASCII } from "node:url";
import { canonicalAddress } from "../dns/ip_address.ts";
import { CR, LF } from "../bytes/ascii.ts";
import { run, type Steps, when } from "../bytes/steps.ts";
import { parseAddressList } from "../message/address.ts";
import { decodeRaw } from "../message/encoded_word.ts";
import { type FieldSpan, fieldValue } from "../message/header.ts";
import type { Resolver } from "../dns/resolver.ts";
import { type ArcResult, ArcVerifier } from "./arc.ts";
import { claimsToBe } from "./authentication_results.ts";
import { type DkimResult, DkimVerifier } from "./dkim_verify.ts";
import { checkDmarc, type DmarcOptions, type DmarcOutcome } from "./dmarc.ts";
import { handedOverBy } from "./handed_over.ts";
import { checkIprev, type IprevOutcome } from "./iprev.ts";
import { HeaderFields } from "./signed_fields.ts";
import { checkSpf, type SpfOutcome } from "./spf.ts";

export interface SenderCheckOptions {
  readonly resolver: Resolver;
  /** Our name in SPF macros and in Authentication-Results. */
  readonly hostname: string;
  readonly iprev: boolean;
  readonly spf: boolean;
  readonly dkim: boolean;
  readonly arc: boolean;
  readonly dmarc: DmarcOptions | null;
  /** From the end of the message on, however long it takes to come. */
  readonly deadlineMs: number;
  /** Servers of ours, or of a provider, that hand us mail of others: whom they had it from counts. */
  readonly isRelay: (address: string) => boolean;
}

export interface Envelope {
  readonly address: string;
  readonly heloName: string;
  /** "" is the null path. */
  readonly sender: string;
  /** Milliseconds. */
  readonly now: number;
}

export interface SenderFindings {
  /** Null where a check is off. */
  readonly iprev: IprevOutcome | null;
  readonly spf: SpfOutcome | null;
  readonly dkim: readonly DkimResult[] | null;
  readonly arc: ArcResult | null;
  readonly dmarc: DmarcOutcome | null;
  /** Whom SPF and iprev judged; null where a relay does not say whom it had the mail from. */
  readonly judged: Pick<Envelope, "address" | "heloName"> | null;
  readonly relayed: boolean;
  /** Spans of the header that must go: results in our name, and marks of spam filters. */
  readonly forged: readonly FieldSpan[];
  /** The header is longer than is looked at. */
  readonly headerTooLarge: boolean;
}

type AddressOutcomes = [IprevOutcome | null, SpfOutcome | null];

/** What is looked at of a header; FactsBuilder has the same limit. */
export const MAX_HEADER_OCTETS = 256 * 1024;
const NOTHING = new Uint8Array(0);
const LATE = "not known in time";

export class SenderCheck {
  readonly #options: SenderCheckOptions;
  readonly #envelope: Envelope;
  /** There from the first wait on. */
  #late: PromiseWithResolvers<void> | null;
  /** By `performance.now()`; 0 before the octets are all there. */
  #endsMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #address: AddressOutcomes | Promise<AddressOutcomes> | null;
  #judged: Pick<Envelope, "address" | "heloName"> | null;
  #held: Uint8Array<ArrayBuffer>;
  #length: number;
  #state: "header" | "body" | "too-large";
  /** Once the header is complete. */
  #fields: HeaderFields | null;
  #dkim: DkimVerifier | null;
  #arc: ArcVerifier | null;
  #hashes: boolean;
  readonly #relayed: boolean;

  constructor(options: SenderCheckOptions, envelope: Envelope) {
    this.#options = options;
    this.#envelope = envelope;
    this.#late = null;
    this.#endsMs = 0;
    this.#timer = undefined;
    this.#relayed = options.isRelay(envelope.address);
    // A proxy may not know whom it speaks for: no address, no verdict about one.
    this.#judged = this.#relayed || canonicalAddress(envelope.address) === null ? null : envelope;
    this.#address = this.#judged === null ? null : this.#begin(this.#judged);
    if (this.#address instanceof Promise) this.#address.catch(() => {});
    this.#held = NOTHING;
    this.#length = 0;
    this.#state = "header";
    this.#fields = null;
    this.#dkim = null;
    this.#arc = null;
    this.#hashes = false;
  }

  /** Octets of the message as the client sent them, in order, at any split. */
  write(bytes: Uint8Array, start: number, end: number): void {
    let from = start;
    if (this.#state === "header") {
      const before = this.#length;
      // Of a header that ends here nothing of the body is kept.
      const whole = before === 0 ? endOfHeader(bytes.subarray(start, end), 0, end - start) : -1;
      this.#keep(bytes, start, whole < 0 ? end : start + whole);
      const bodyAt = endOfHeader(this.#held, Math.max(0, before - 3), this.#length);
      if (bodyAt < 0) {
        if (this.#length >= MAX_HEADER_OCTETS) this.#state = "too-large";
        return;
      }
      from = start + bodyAt - before;
      this.#header(bodyAt);
    }
    if (this.#state !== "body" || !this.#hashes || from >= end) return;
    this.#dkim?.write(bytes, from, end);
    this.#arc?.write(bytes, from, end);
  }

  /** The octets are all there. At once where all that DNS is asked for is known, else within `withinMs`, or the deadline where that is less. */
  finish(withinMs = Infinity): SenderFindings | Promise<SenderFindings> {
    this.#endsMs = performance.now() + Math.min(this.#options.deadlineMs, withinMs);
    if (this.#late !== null) this.#arm(this.#late);
    const findings = run(this.#found());
    if (findings instanceof Promise) return findings.finally(() => this.discard());
    this.discard();
    return findings;
  }

  *#found(): Steps<SenderFindings> {
    if (this.#state === "header") this.#header(this.#length);
    const { block: header, spans } = this.#fields ?? { block: NOTHING, spans: [] };
    if (this.#address === null) {
      this.#judged = this.#relayed ? handedOverBy(header, spans, this.#options.isRelay) : null;
      this.#address = this.#judged === null ? [null, null] : this.#judgeAddress({ ...this.#judged });
    }
    const { resolver, dmarc } = this.#options;
    // All of them are under way before the first is waited for.
    const signatures = this.#dkim === null
      ? null
      : this.#bounded(this.#dkim.finish(resolver, this.#envelope.now), () => [lateSignature()]);
    const chain = this.#arc === null ? null : this.#bounded(
      this.#arc.finish(resolver),
      (): ArcResult => ({ result: "temperror", text: LATE, sets: [] }),
    );
    for (const pending of [signatures, chain]) if (pending instanceof Promise) pending.catch(() => {});
    const [iprev, spf] = yield* when(this.#address);
    const dkim = yield* when(signatures);
    const arc = yield* when(chain);
    const authors = dmarc === null || this.#fields === null ? null : authorDomains(header, spans);
    const outcome = dmarc === null || authors === null ? null : yield* when(this.#bounded(
      checkDmarc(resolver, this.#dmarcInput({ authors, spf, dkim }), dmarc),
      (): DmarcOutcome => lateDmarc(authors[0] ?? ""),
    ));
    return {
      ...{ iprev, spf, dkim, arc, dmarc: outcome, judged: this.#judged, relayed: this.#relayed },
      forged: spans.filter((span) => this.#isForged(header, span)),
      headerTooLarge: this.#fields === null,
    };
  }

  /** Stops the clock. Safe at any time and more than once. */
  discard(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** A fault of ours is thrown by `finish`. */
  #begin(judged: Pick<Envelope, "address" | "heloName">): AddressOutcomes | Promise<AddressOutcomes> {
    try {
      return this.#judgeAddress(judged);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #judgeAddress(
    { address, heloName }: Pick<Envelope, "address" | "heloName">,
  ): AddressOutcomes | Promise<AddressOutcomes> {
    const { resolver, hostname, iprev, spf } = this.#options;
    const { sender, now } = this.#envelope;
    const helo = heloName === "" ? "unknown" : heloName;
    const domain = spfDomain(sender, heloName);
    const named = iprev
      ? this.#bounded(
        checkIprev(resolver, address),
        (): IprevOutcome => ({ result: "temperror", name: "", text: LATE }),
      )
      : null;
    const allowed = spf
      ? this.#bounded(
        checkSpf(resolver, { address, domain, sender, helo, receiver: hostname, now }),
        (): SpfOutcome => ({ result: "temperror", mechanism: "", text: LATE }),
      )
      : null;
    return named instanceof Promise || allowed instanceof Promise
      ? Promise.all([named, allowed])
      : [named, allowed];
  }

  /** What is known already is never late. */
  #bounded<T>(work: T | Promise<T>, late: () => T): T | Promise<T> {
    if (!(work instanceof Promise)) return work;
    if (this.#late === null) {
      this.#late = Promise.withResolvers();
      if (this.#endsMs > 0) this.#arm(this.#late);
    }
    return Promise.race([work, this.#late.promise.then(late)]);
  }

  #arm({ resolve }: PromiseWithResolvers<void>): void {
    this.#timer = setTimeout(resolve, Math.max(0, this.#endsMs - performance.now()));
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    const size = Math.min(MAX_HEADER_OCTETS, this.#length + end - start);
    if (size > this.#held.length) {
      const grown = new Uint8Array(Math.min(MAX_HEADER_OCTETS, Math.max(size, this.#held.length * 2)));
      grown.set(this.#held.subarray(0, this.#length));
      this.#held = grown;
    }
    this.#held.set(bytes.subarray(start, start + size - this.#length), this.#length);
    this.#length = size;
  }

  /** The header is complete: `bodyAt` is behind its empty line. */
  #header(bodyAt: number): void {
    this.#state = "body";
    this.#length = bodyAt;
    const fields = this.#fields = new HeaderFields(this.#held.subarray(0, bodyAt));
    if (this.#options.dkim) this.#dkim = new DkimVerifier(fields);
    if (this.#options.arc) this.#arc = new ArcVerifier(fields);
    this.#hashes = this.#dkim?.needsBody === true || this.#arc?.needsBody === true;
  }

  #dmarcInput({ authors, spf, dkim }: {
    readonly authors: readonly string[];
    readonly spf: SpfOutcome | null;
    readonly dkim: readonly DkimResult[] | null;
  }) {
    const { sender } = this.#envelope;
    const of = (result: string) =>
      (dkim ?? []).filter((one) => one.result === result).map(({ domain }) => domain);
    return {
      authorDomains: authors,
      spfDomain: spf?.result === "pass" ? spfDomain(sender, this.#judged?.heloName ?? "") : null,
      spfTemporary: spf?.result === "temperror",
      dkimDomains: of("pass"),
      dkimTemporary: of("temperror").map((domain) => domain === "" ? authors[0] ?? "" : domain),
    };
  }

  /** RFC 8601 5; and what a filter before us may have said, which readers here would take for ours. */
  #isForged(header: Uint8Array, span: FieldSpan): boolean {
    if (span.name.startsWith("x-spam-") || span.name === "x-veredus-verdict") return true;
    return span.name === "authentication-results" &&
      claimsToBe(fieldValue(header, span), this.#options.hostname);
  }
}

/** RFC 7208 2.4: the null path stands for postmaster of the HELO name. */
export function spfDomain(sender: string, heloName: string): string {
  return sender === "" ? heloName : sender.slice(sender.lastIndexOf("@") + 1);
}

/** Domains of all From addresses in A-labels, each once. */
export function authorDomains(header: Uint8Array, spans: readonly FieldSpan[]): string[] {
  const domains = new Set<string>();
  for (const span of spans) {
    if (span.name !== "from") continue;
    for (const item of parseAddressList(fieldValue(header, span))) {
      if (item.kind !== "mailbox" || item.domain === "") continue;
      const domain = decodeRaw(item.domain);
      // deno-lint-ignore no-control-regex
      domains.add((/^[\x00-\x7f]*$/.test(domain) ? domain : domainToASCII(domain)).toLowerCase());
    }
  }
  return [...domains];
}

/** Behind the first empty line, or -1; looks from `from` on. Lines end in CRLF here (strangers), or in LF. */
function endOfHeader(bytes: Uint8Array, from: number, end: number): number {
  if (from === 0 && end > 0) {
    if (bytes[0] === LF) return 1;
    if (end > 1 && bytes[0] === CR && bytes[1] === LF) return 2;
  }
  for (let at = bytes.indexOf(LF, from); at >= 0 && at < end; at = bytes.indexOf(LF, at + 1)) {
    if (at + 1 < end && bytes[at + 1] === LF) return at + 2;
    if (at + 2 < end && bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 3;
  }
  return -1;
}

function lateSignature(): DkimResult {
  const nothing = { domain: "", selector: "", identity: "", algorithm: "", prefix: "" };
  return { result: "temperror", text: LATE, ...nothing, keyBits: 0, testing: false };
}

function lateDmarc(authorDomain: string): DmarcOutcome {
  return {
    ...{ result: "temperror", text: LATE, authorDomain, policyDomain: "", policy: "none", published: "none" },
    ...{ record: null, spfAligned: false, dkimAligned: false, proven: false },
  };
}

/**
 * Whom mail that leaves is taken for: recipients of relay domains that exist, and none of the suppression list.
 *
 * What would bounce later is refused while its sender still listens (RFC 5321 6.1: no backscatter). A relay domain takes mail
 * for anybody, for the addresses of a list, or for whom its next hop says that it takes: that one is asked by MAIL FROM:<> and
 * RCPT, and its word is kept: a yes {@linkcode YES_KEPT_MS}, renewed after {@linkcode YES_FRESH_MS} while the next hop answers,
 * so that a backup knows its recipients while the primary is away; a no {@linkcode NO_KEPT_MS}. Who is not known while nobody
 * can be asked is put off.
 */
import { getLogger } from "@logtape/logtape";
import { type Reply, reply } from "../protocols/smtp/reply.ts";
import type { DomainRow, PolicyRow } from "../storage/ops.ts";
import type { Store } from "../storage/store.ts";
import { counter } from "../telemetry/metrics.ts";
import { UNKNOWN_RECIPIENT } from "./policy.ts";
import { suppressed, suppressionOf } from "./queue/suppression.ts";
import type { RecipientTarget } from "./recipients.ts";

const log = getLogger(["veredus", "delivery"]);
const asked = counter("veredus_call_ahead_total", "Recipients that a next hop was asked about, by answer", [
  "answer",
]);

export const YES_KEPT_MS = 30 * 86_400_000;
export const YES_FRESH_MS = 86_400_000;
export const NO_KEPT_MS = 3 * 3_600_000;

const SUPPRESSED = reply(550, "5.1.1", "Mail to this address has bounced: it is on the suppression list");
const NOT_NOW = reply(451, "4.4.1", "The recipient cannot be verified now, try again later");

/** What the next hop says about an address; null where it cannot be asked. */
export type CallAhead = (domain: DomainRow, address: string) => Promise<boolean | null>;

export interface GateParts {
  readonly store: Store;
  readonly clock: () => number;
  /** The suppression list is in use. */
  readonly suppress: boolean;
  readonly ask: CallAhead;
}

export class RecipientGate {
  readonly #parts: GateParts;
  /** Questions under way. */
  #asking: Map<string, Promise<Reply | null>>;

  constructor(parts: GateParts) {
    this.#parts = parts;
    this.#asking = new Map();
  }

  /** The refusal of a recipient that leads outside alone; null takes it. Other recipients are not its business. */
  refusal(targets: readonly RecipientTarget[]): Reply | null | Promise<Reply | null> {
    const [target] = targets;
    if (target?.kind !== "remote" || targets.length > 1) return null;
    const { store, clock, suppress } = this.#parts;
    if (suppress && suppressionOf(store, target.address, clock()) !== null) {
      suppressed.inc();
      return SUPPRESSED;
    }
    const domain = store.directory.domain(target.destination);
    if (domain?.kind !== "relay") return null;
    switch (domain.relayRecipients) {
      case "any":
        return null;
      case "list":
        return this.#row("relay-recipient", target.address) === null ? UNKNOWN_RECIPIENT : null;
      case "ask":
        return this.#known(domain, target.address.toLowerCase());
      default:
        return domain.relayRecipients satisfies never;
    }
  }

  #row(kind: PolicyRow["kind"], address: string): PolicyRow | null {
    return this.#parts.store.policy.get(kind, address.toLowerCase(), this.#parts.clock());
  }

  #known(domain: DomainRow, address: string): Reply | null | Promise<Reply | null> {
    const known = this.#row("asked-recipient", address);
    if (known !== null && known.count === 0) return UNKNOWN_RECIPIENT;
    if (known !== null && this.#parts.clock() - known.lastAt < YES_FRESH_MS) return null;
    const running = this.#asking.get(address);
    if (running !== undefined) return running;
    const question = this.#ask(domain, { address, known: known !== null });
    this.#asking.set(address, question);
    return question.finally(() => this.#asking.delete(address));
  }

  async #ask(
    domain: DomainRow,
    { address, known }: { address: string; known: boolean },
  ): Promise<Reply | null> {
    const { ask, clock, store } = this.#parts;
    const yes = await ask(domain, address).catch((error) => {
      log.warn("{address} could not be asked about: {error}", { address, error });
      return null;
    });
    asked.inc({ answer: yes === null ? "none" : yes ? "yes" : "no" });
    if (yes === null) return known ? null : NOT_NOW;
    const now = clock();
    const row: PolicyRow = {
      ...{
        kind: "asked-recipient",
        key: address,
        firstAt: now,
        lastAt: now,
        count: yes ? 1 : 0,
        note: domain.name,
      },
      expiresAt: now + (yes ? YES_KEPT_MS : NO_KEPT_MS),
    };
    const written = await store.write({ kind: "put-state", rows: [row], add: false });
    if (!written.ok) {
      log.warn("what is known of {address} could not be kept: {fault}", { address, ...written });
    }
    return yes ? null : UNKNOWN_RECIPIENT;
  }
}

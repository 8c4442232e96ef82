/**
 * Copies that the operator wants of mail: into a mailbox here, beside the recipients' own, in the same commit.
 *
 * Of what is taken, and of nothing that is refused, discarded, or our own (notices, what groups and scripts send on). The
 * spam filter has been asked before, so a copy lies in the INBOX of its account whatever became of the others.
 */
import { getLogger } from "@logtape/logtape";
import { domainOf } from "../../storage/address_form.ts";
import { formatPath } from "../../protocols/smtp/path.ts";
import { countCopy } from "../reception_metrics.ts";
import type { Mail } from "./mail.ts";

export interface CopyRule {
  /** Addresses and domains, in lower case; none: of everybody. */
  readonly of: readonly string[];
  /** `received`: they are recipients; `sent`: they are senders and logged in; `all`: either. */
  readonly mail: "received" | "sent" | "all";
  /** An address that leads to mailboxes here. */
  readonly to: string;
}

const log = getLogger(["veredus", "delivery"]);

export function addCopies(mail: Mail): null {
  for (const rule of mail.setting.config.copies ?? []) if (concerns(rule, mail)) addCopy(mail, rule.to);
  return null;
}

function concerns({ of, mail: which }: CopyRule, { client, envelope }: Mail): boolean {
  const named = (address: string) => {
    const lower = address.toLowerCase();
    return of.length === 0 || of.includes(lower) || of.includes(domainOf(lower));
  };
  if (which !== "received" && client.account !== null && named(envelope.sender)) return true;
  return which !== "sent" && envelope.taken().some(({ path }) => named(formatPath(path)));
}

function addCopy({ traceId: trace, envelope, setting: { resolver } }: Mail, to: string): void {
  const resolution = resolver.resolveAddress(to);
  const targets = resolution.kind === "refused"
    ? []
    : resolution.targets.filter(({ kind }) => kind === "mailbox");
  const added = targets.length > 0 && envelope.filing.add(targets);
  countCopy(added);
  if (added) return log.debug("a copy goes to {to}", { trace, to });
  log.error("a copy for {to} could not be made: {reason}", {
    trace,
    to,
    reason: resolution.kind === "refused" ? resolution.reason : "it leads to no mailbox here",
  });
}

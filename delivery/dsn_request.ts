/**
 * What the sender asked to be told about one recipient (RFC 3461), and who keeps the promise: the next server, or we.
 *
 * RFC 3461 5.2: mail that leaves takes the wishes along; an address of ours that leads to one other address hands them on
 * with the first address as ORCPT; one that leads to several is reported as expanded, and nobody reports success any more;
 * what ends in a mailbox here is reported as delivered. Pure.
 */
import { NO_RCPT_PARAMETERS, type RcptParameters } from "../protocols/smtp/parameters.ts";
import { addrXtext } from "../protocols/smtp/utf8_address.ts";
import type { RecipientTarget } from "./recipients.ts";

export interface DsnDuty {
  /** For the queue. */
  readonly request: RcptParameters;
  /** What we report when the message is filed; null nothing. */
  readonly report: "delivered" | "expanded" | null;
}

const NO_DUTY: DsnDuty = { request: NO_RCPT_PARAMETERS, report: null };

/** `held`: mailboxes get it from the queue too. */
export function dsnDuty(
  parameters: RcptParameters,
  address: string,
  { targets, held }: { readonly targets: readonly RecipientTarget[]; readonly held: boolean },
): DsnDuty {
  const { notify, originalRecipient } = parameters;
  if (notify === "" && originalRecipient === "") return NO_DUTY;
  const success = notify.split(",").includes("SUCCESS");
  const [first] = targets;
  if (targets.length > 1) {
    const left = notify.split(",").filter((word) => word !== "SUCCESS").join(",");
    return {
      request: { notify: notify === "" ? "" : left || "NEVER", originalRecipient },
      report: success ? "expanded" : null,
    };
  }
  if (first?.kind === "mailbox" && !held) {
    return { request: NO_RCPT_PARAMETERS, report: success ? "delivered" : null };
  }
  const forwarded = first?.kind === "remote" && first.forwardedBy !== "";
  return {
    request: {
      notify,
      originalRecipient: originalRecipient === "" && forwarded ? typedOriginal(address) : originalRecipient,
    },
    report: null,
  };
}

const ASCII = /^[\x20-\x7e]+$/;

/** RFC 3461 4.2, RFC 6533 3: the address as ORCPT, in ASCII. */
function typedOriginal(address: string): string {
  return ASCII.test(address) ? `rfc822;${xtext(address)}` : `utf-8;${addrXtext(address)}`;
}

/** RFC 3461 4. */
function xtext(text: string): string {
  return text.replace(
    /[^!-*,-<>-~]/g,
    (character) => `+${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/**
 * Asking a next hop whether it takes mail for an address: a transaction with the null reverse-path that ends before its data.
 *
 * Only a 5yz to RCPT is a no. Everything else that is not 2yz (busy, greylisting, trouble of the connection) is no answer.
 */
import { openConnection, type OutboundParts } from "../outbound.ts";
import { OutboundConnection } from "../outbound_connection.ts";
import { PLAIN_MANNER, type Route, statedHop } from "../routes.ts";
import type { CallAhead } from "../recipient_gate.ts";

export function callAhead(parts: OutboundParts): CallAhead {
  return async ({ name, nextHop }, address) => {
    const route: Route = nextHop === "mx"
      ? { kind: "mx", domain: name, manner: PLAIN_MANNER }
      : statedHop(nextHop);
    const opened = await openConnection(route, parts, { need: "", identity: parts.identityOf("") });
    if (!(opened instanceof OutboundConnection)) return null;
    try {
      const transaction = {
        ...{ sender: "", recipients: [{ address, notify: "", originalRecipient: "" }], probe: true },
        ...{
          sizeOctets: 0,
          eightBit: false,
          smtputf8: false,
          ret: "" as const,
          envelopeId: "",
          requireTls: false,
        },
      };
      const { recipients: [result] } = await opened.send({ transaction, source: NOTHING });
      if (result!.outcome === "delivered") return true;
      return result!.outcome === "permanent" && result!.stage === "rcpt" && result!.reply !== null
        ? false
        : null;
    } finally {
      await opened.quit();
    }
  };
}

const NOTHING = { octets: 0, read: () => new Uint8Array(0) };

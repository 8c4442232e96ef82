/** Faults of the store as IMAP replies, in one place (response codes: RFC 5530, RFC 3501 7.1). */
import type { Reply } from "../../protocols/imap/reply.ts";
import type { WriteResult } from "../../storage/ops.ts";
import { no } from "./context.ts";

type Refused = Extract<WriteResult, { ok: false }>;

/** The reply to a refused write. `target` is true where the client can create the missing mailbox and try again. */
export function refusal({ fault, detail }: Refused, options: { target?: boolean } = {}): Reply {
  switch (fault) {
    case "no-such-mailbox":
      return no("No such mailbox", options.target === true ? "TRYCREATE" : "NONEXISTENT");
    case "no-such-message":
      return no("The message is gone already", "EXPUNGEISSUED");
    case "already-exists":
      return no("There is a mailbox of that name already", "ALREADYEXISTS");
    case "not-permitted":
      return no("Not possible", "CANNOT");
    case "has-children":
      return no("The name has children", "HASCHILDREN");
    case "limit":
      return no(`A limit is reached: ${detail}`, "LIMIT");
    case "disk-full":
    case "unavailable":
    case "unsynced":
      return no("Not possible just now", "UNAVAILABLE");
    case "over-quota":
      return no("The mailbox is full", "OVERQUOTA");
    case "no-such-account":
    case "no-such-address":
    case "no-such-group":
    case "no-such-domain":
    case "no-such-alias":
    case "no-such-script":
    case "no-such-token":
    case "no-such-key":
    case "no-such-recipient":
    case "domain-in-use":
      return no("The server has a fault", "SERVERBUG");
    default:
      return fault satisfies never;
  }
}

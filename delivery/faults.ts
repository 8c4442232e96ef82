/** Trouble of storage as SMTP replies, in one place: all of it is temporary, so that the client keeps the message. */
import { DISK_FULL, LOCAL_ERROR, type Reply } from "../protocols/smtp/reply.ts";
import type { WriteFault } from "../storage/ops.ts";
import { StorageError } from "../storage/store.ts";

export function errorReply(error: unknown): Reply {
  return error instanceof StorageError && error.full ? DISK_FULL : LOCAL_ERROR;
}

/** What a refused `deliver` means. */
export function faultReply(fault: WriteFault): Reply {
  switch (fault) {
    // The account went between RCPT and the end of data: the next try hears 550 at RCPT.
    case "no-such-mailbox":
    case "no-such-message":
    case "no-such-account":
      return LOCAL_ERROR;
    case "disk-full":
    case "limit":
      return DISK_FULL;
    case "unavailable":
    case "unsynced":
    case "over-quota":
    case "no-such-address":
    case "no-such-group":
    case "no-such-domain":
    case "no-such-alias":
    case "no-such-script":
    case "no-such-token":
    case "no-such-key":
    case "no-such-recipient":
    case "already-exists":
    case "not-permitted":
    case "has-children":
    case "domain-in-use":
      return LOCAL_ERROR;
    default:
      return fault satisfies never;
  }
}

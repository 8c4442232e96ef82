/** What a session asks of its driver. Pure. */
import type { Credentials } from "../sasl/exchange.ts";
import type { AppendMessage, AppendStart, Command } from "./command.ts";
import type { CommandRule } from "./command_table.ts";

/**
 * What the driver is to do. After `command`, `credentials`, `append`, `append-end` and `idle-end` the session waits
 * for `answer` (or `loggedIn`, `grantAppend`). Spans live until the next call of `next`.
 */
export type ImapEvent =
  | { readonly kind: "need-input" }
  | { readonly kind: "command"; readonly command: Command; readonly rule: CommandRule }
  | { readonly kind: "credentials"; readonly credentials: Credentials }
  /** The tagged OK is written: flush, `dropInput`, handshake, `tlsStarted`. */
  | { readonly kind: "starttls" }
  /** The tagged OK is written: flush, `dropInput`, both ways are compressed from here on (RFC 4978). */
  | { readonly kind: "compress" }
  /** Nothing of the message is sent yet (or it comes unasked): `grantAppend` or refuse it by `answer`. */
  | { readonly kind: "append"; readonly append: AppendStart }
  /** The message in hand is whole and another one follows it: the same. */
  | { readonly kind: "append-next"; readonly message: AppendMessage }
  | { readonly kind: "append-data"; readonly bytes: Uint8Array; readonly start: number; readonly end: number }
  | { readonly kind: "append-end" }
  /** The command turned out malformed behind its message, and is answered: forget the octets. */
  | { readonly kind: "append-void" }
  | { readonly kind: "idle" }
  /** `done` is false when the client sent something else than DONE: answer BAD. */
  | { readonly kind: "idle-end"; readonly done: boolean }
  | { readonly kind: "close" };

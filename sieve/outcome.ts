/**
 * What a script decided. Nothing has happened yet: whoever ran it carries all of it out, or none.
 *
 * `header` in an action are the fields of the message as the script had changed them by then (RFC 5293); null unchanged.
 */
import type { ScriptFault } from "./fault.ts";
import type { HeaderField } from "./message_view.ts";
import type { Node } from "./syntax.ts";

/** Where a copy goes. */
export interface Filing {
  /** UTF-8, separator "/". */
  readonly mailbox: string;
  /** As in `\Seen` or `$Work`; null leaves it to the mailbox. */
  readonly flags: readonly string[] | null;
  /** RFC 5490 3.2. */
  readonly create: boolean;
  /** RFC 8579 4.: preferred to the name; null without. */
  readonly specialUse: string | null;
  /** RFC 9042 4.; null without. */
  readonly mailboxId: string | null;
}

export type Header = readonly HeaderField[] | null;

export interface Keep {
  readonly kind: "keep";
  readonly flags: readonly string[] | null;
  readonly header: Header;
}

export interface FileInto extends Filing {
  readonly kind: "fileinto";
  readonly header: Header;
}

export interface Redirect {
  readonly kind: "redirect";
  readonly address: string;
  /** RFC 6009; null leaves what came with the message. */
  readonly notify: string | null;
  readonly ret: "FULL" | "HDRS" | null;
  readonly header: Header;
}

export interface Reject {
  readonly kind: "reject";
  readonly reason: string;
  /** `ereject`: refused in the session wherever that is possible (RFC 5429 2.1). */
  readonly extended: boolean;
}

export interface Vacation {
  readonly kind: "vacation";
  /** Seconds until the same sender is answered again; 0 each time. */
  readonly againAfterSeconds: number;
  /** Null: made of the message's own. */
  readonly subject: string | null;
  /** Null: the recipient. */
  readonly from: string | null;
  /** Further addresses of the owner. */
  readonly addresses: readonly string[];
  /** The reason is a MIME entity with its header. */
  readonly mime: boolean;
  readonly reason: string;
  /** What makes two answers the same (RFC 5230 4.7). */
  readonly handle: string;
  readonly copyTo: Filing | null;
}

export interface Notify {
  readonly kind: "notify";
  /** `mailto:` URI. */
  readonly method: string;
  readonly from: string | null;
  readonly importance: "1" | "2" | "3";
  readonly message: string | null;
  readonly copyTo: Filing | null;
}

export type Action = Keep | FileInto | Redirect | Reject | Vacation | Notify | { readonly kind: "discard" };

/** An id that `duplicate` asked for; it is remembered when the delivery is durable (RFC 7352 3.). */
export interface Remembered {
  readonly id: string;
  readonly seconds: number;
}

export interface Outcome {
  /** In the order of the script; identical ones once. */
  readonly actions: readonly Action[];
  /** Null where the script cancelled it. */
  readonly implicitKeep: Keep | null;
  readonly remembered: readonly Remembered[];
  /** As the script left it, for one that follows. */
  readonly header: Header;
  /** Why the script ended before its time; `actions` are to be forgotten then, and the message is kept. */
  readonly fault: (ScriptFault & { readonly script: string }) | null;
  /** What was done, one line each, for those who test a script. */
  readonly trace: readonly string[];
  /** Where and under which tests, for each line of `trace`; an implicit keep has none. */
  readonly reasons: readonly Reason[];
}

export interface Reason {
  readonly script: string;
  /** Of the command: offset into the text of the script. */
  readonly at: number;
  /** What held of the ifs around it, outermost first. */
  readonly held: readonly Held[];
}

export interface Held {
  /** Of the `if`, `elsif` or `else`. */
  readonly at: number;
  /** Null of an `else`. */
  readonly test: Node | null;
}

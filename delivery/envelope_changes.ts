/**
 * The envelope as milters want it: another sender, recipients more and less.
 *
 * Addresses come as a milter sent them, with angle brackets or without, and are read like those of MAIL and RCPT; of their
 * ESMTP parameters those count that say what reports are wanted (RFC 3461). A recipient that is named already is not
 * added again; one is removed in whatever spelling of the same address. What cannot be read changes nothing and is told.
 * Pure.
 */
import { Cursor } from "../bytes/cursor.ts";
import { encodeLatin1 } from "../bytes/decode.ts";
import type { EnvelopeChange } from "../filter/message_source.ts";
import { oneLine } from "../filter/verdict.ts";
import {
  type MailParameters,
  mailParameters,
  NO_RCPT_PARAMETERS,
  type RcptParameters,
  rcptParameters,
} from "../protocols/smtp/parameters.ts";
import type { Reply } from "../protocols/smtp/reply.ts";
import { formatPath, forwardPath, type Path, reversePath } from "../protocols/smtp/path.ts";
import { normalizeAddress } from "../storage/address_form.ts";

export interface EnvelopeRecipient {
  readonly path: Path;
  readonly parameters: RcptParameters;
}

export interface ChangedEnvelope<R extends EnvelopeRecipient> {
  /** "" is the null path. */
  readonly sender: string;
  /** RET and ENVID as given with a new sender; null where there were none. */
  readonly wishes: Pick<MailParameters, "ret" | "envelopeId"> | null;
  /** Of those that there were. */
  readonly kept: readonly R[];
  readonly added: readonly EnvelopeRecipient[];
  /** What could not be read, in printable words. */
  readonly faults: readonly string[];
}

export function changedEnvelope<R extends EnvelopeRecipient>(
  envelope: { readonly sender: string; readonly recipients: readonly R[] },
  changes: readonly EnvelopeChange[],
): ChangedEnvelope<R> {
  let { sender } = envelope;
  let wishes: ChangedEnvelope<R>["wishes"] = null;
  let kept = [...envelope.recipients], added: EnvelopeRecipient[] = [];
  const faults: string[] = [];
  for (const change of changes) {
    const cursor = new Cursor(encodeLatin1(bracketed(change.address)));
    const path = change.kind === "sender" ? reversePath(cursor) : forwardPath(cursor);
    if (!cursor.ok || cursor.at !== cursor.end) {
      faults.push(oneLine(`${change.kind}: not an address: ${change.address}`));
      continue;
    }
    switch (change.kind) {
      case "sender": {
        const said = read(change.parameters, mailParameters);
        if (said === null) faults.push(oneLine(`sender: parameters not understood: ${change.parameters}`));
        else wishes = { ret: said.ret, envelopeId: said.envelopeId };
        sender = formatPath(path);
        break;
      }
      case "add-recipient": {
        const said = read(change.parameters, rcptParameters);
        if (said === null) {
          faults.push(oneLine(`add-recipient: parameters not understood: ${change.parameters}`));
        }
        const wanted = formOf(path!);
        if ([...kept, ...added].some((one) => formOf(one.path) === wanted)) break;
        added.push({ path: path!, parameters: said ?? NO_RCPT_PARAMETERS });
        break;
      }
      case "remove-recipient": {
        const gone = formOf(path!);
        kept = kept.filter((one) => formOf(one.path) !== gone);
        added = added.filter((one) => formOf(one.path) !== gone);
        break;
      }
      default:
        change satisfies never;
    }
  }
  return { sender, wishes, kept, added, faults };
}

function bracketed(address: string): string {
  const bare = address.trim();
  return bare.startsWith("<") ? bare : `<${bare}>`;
}

/** Null where they cannot be read. */
function read<T extends object>(
  text: string,
  parse: (cursor: Cursor) => T,
): Exclude<T, { readonly refused: Reply }> | null {
  const parameters = parse(new Cursor(encodeLatin1(text.trim() === "" ? "" : ` ${text.trim()}`)));
  return "refused" in parameters ? null : parameters as Exclude<T, { readonly refused: Reply }>;
}

function formOf(path: Path): string {
  const text = formatPath(path);
  return normalizeAddress(text) ?? text.toLowerCase();
}

/**
 * The daily word to recipients here of what was kept from them, and the end of what nobody asked for.
 *
 * A digest and the note that its messages are told of commit together, so that each is told once whatever happens. Links
 * only open a page (link.ts). What does harm has none: only the operator lets it go.
 */
import { encodeHeaderText } from "../../message/encoded_word.ts";
import type { WriteOp } from "../../storage/ops.ts";
import type { QuarantineRow } from "../../storage/quarantine.ts";
import { composeAutomatic } from "../auto_reply.ts";
import { LOCAL_DESTINATION } from "../filing.ts";
import { type PostOptions, prepareOwnMail } from "../post.ts";
import { freshLinkKey, linkToken } from "./link.ts";
import { harmless } from "./look.ts";
import { events } from "./metrics.ts";

const DAY_MS = 86_400_000;
/** Recipients of one call: nothing else waits for long. */
const RECIPIENTS_AT_ONCE = 200;
/** Messages of one digest; the next tells of the others. */
const MAX_SHOWN = 100;
const MAX_TEXT = 120;

export interface DigestParts {
  readonly post: PostOptions;
  readonly hostname: string;
  /** Where the pages of links are, without a slash at its end; "" makes digests without links. */
  readonly url: string;
}

/** Sends what is due, at most one digest a recipient and day; call it now and then. */
export async function sendDigests(parts: DigestParts): Promise<void> {
  const { store, clock } = parts.post;
  for (let after = "", sent = 0; sent < RECIPIENTS_AT_ONCE;) {
    const recipients = store.quarantine.untold({ after, limit: RECIPIENTS_AT_ONCE });
    if (recipients.length === 0) return;
    after = recipients.at(-1)!;
    for (const recipient of recipients) {
      if (store.policy.get("quarantine-digest", recipient, clock()) === null) {
        await sendOne(parts, recipient);
        sent++;
      }
    }
  }
}

async function sendOne(parts: DigestParts, recipient: string): Promise<void> {
  const { post, url } = parts;
  const { store, clock } = post;
  const now = clock();
  const rows = store.quarantine.untoldOf(recipient, MAX_SHOWN);
  const told: WriteOp = {
    kind: "quarantine-control",
    ...{ action: "told", recipientIds: rows.map(({ recipientId }) => recipientId), at: now, expiresAt: now },
  };
  const ours = rows.filter(({ destination }) => destination === LOCAL_DESTINATION);
  if (url !== "" && ours.length > 0) await freshLinkKey(store, now);
  const prepared = ours.length === 0 ? null : await prepareOwnMail(post, {
    octets: digest(parts, recipient, ours),
    ...{ sender: "", recipients: [recipient] },
  });
  // Whom we cannot tell here is not told: others have filters of their own.
  if (prepared === null || "refused" in prepared) {
    await store.write(told);
    return;
  }
  const day = { firstAt: now, lastAt: now, count: 1, expiresAt: now + DAY_MS, note: "" };
  const result = await store.write({
    kind: "once",
    row: { kind: "quarantine-digest", key: recipient, ...day },
    ops: [prepared.operation, told],
  });
  if (result.ok) events.inc({ event: "told" }, ours.length);
}

function digest(
  { post, hostname, url }: DigestParts,
  to: string,
  rows: readonly QuarantineRow[],
): Uint8Array {
  const now = post.clock();
  const line = (name: string, value: string) => `  ${name.padEnd(8)} ${harmless(value, MAX_TEXT)}`;
  const messages = rows.flatMap((row) => {
    const token = row.dangerous || url === "" ? null : linkToken(post.store, row);
    return [
      line("From:", row.from),
      line("Subject:", row.subject),
      line("Date:", new Date(row.createdAt).toUTCString()),
      line("Why:", row.reason),
      token === null ? line("Look:", NO_LINK) : `  Look:    ${url}/quarantine/${token}`,
      "",
    ];
  });
  const one = rows.length === 1;
  return composeAutomatic({
    kind: "auto-generated",
    from: `Quarantine <postmaster@${hostname}>`,
    to: `<${to}>`,
    subject: encodeHeaderText(one ? "A message was set aside" : `${rows.length} messages were set aside`),
    date: now,
    messageId: `<${post.newId()}.quarantine@${hostname}>`,
    text: [
      `${
        one ? "This message" : "These messages"
      } for ${to} looked harmful or unwanted and were not delivered.`,
      `They are removed by themselves; the first on ${new Date(rows[0]!.expiresAt).toUTCString()}.`,
      ...(url === ""
        ? []
        : ["A link opens a page that shows the message as text; a button there delivers it."]),
      "",
      ...messages,
    ],
  });
}

const NO_LINK = "ask your administrator, who can deliver it";

/**
 * What is measured in a mailbox of a million messages beside Dovecot, whose Maildir has hard links where we have copies: a
 * hundred thousand messages, each ten times.
 */
import type { Target } from "../target.ts";
import { HUGE, type LargeFigure, orders, reads, within } from "./figures.ts";
import { ImapClient } from "./imap_client.ts";

/** Messages whose bodies are fetched, and whose flags are stored. */
const SLICE = 100_000;
const CHANGED = 10_000;
const DRAFT = "FLAGS.SILENT (\\Draft)";
/** All that the figures ask of messages. */
const ASKED = "FETCH 1:* (ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE " +
  "BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE REFERENCES IN-REPLY-TO MESSAGE-ID)])";

/**
 * In the order they are measured; what takes messages away comes last, ten thousand each time, so that some per cent are
 * missing in the end. None is `quick`: the generator reads no lines so long.
 */
export const MILLION_FIGURES: readonly LargeFigure[] = [
  ...reads("", HUGE, SLICE),
  ...orders(HUGE),
  among(SLICE, { what: "STORE", command: `STORE # +${DRAFT}`, after: [`STORE # -${DRAFT}`] }),
  among(CHANGED, {
    what: "COPY",
    before: ["CREATE Copies"],
    command: "COPY # Copies",
    after: ["DELETE Copies"],
  }),
  among(CHANGED, {
    what: "MOVE",
    before: ["CREATE Moved"],
    command: "MOVE # Moved",
    after: ["DELETE Moved"],
  }),
  among(CHANGED, {
    what: "EXPUNGE",
    before: ["STORE # +FLAGS.SILENT (\\Deleted)"],
    command: "EXPUNGE",
  }),
].map((figure) => ({ ...figure, name: "million", quick: false }));

function among(messages: number, commands: Parameters<typeof within>[2]): LargeFigure {
  return { name: "million", user: HUGE.user, least: 1.5, ...within(HUGE, messages, commands) };
}

/** Dovecot makes its index of the mailbox and keeps what is asked of it, which takes minutes the first time. */
export async function fillCache(peer: Target): Promise<void> {
  const client = await ImapClient.login(peer.imap, HUGE.user);
  for (const command of ["SELECT INBOX", ASKED]) await client.command(command);
  client.close();
}

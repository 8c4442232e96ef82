/**
 * The text of the files that are attached to a message, within what one message may take.
 *
 * Whoever has none of it from the index asks here: the indexer behind new messages (attachment_pass.ts), and a search where the
 * index is gone or behind. One message at a time; others wait for their turn.
 */
import { getLogger } from "@logtape/logtape";
import type { MessageRow } from "../storage/messages.ts";
import { type BlobReader, StorageError } from "../storage/store.ts";
import { counter } from "../telemetry/metrics.ts";
import { fileKind } from "./extract/file_kind.ts";
import { type AttachedFile, readFile } from "./message_text.ts";
import type { ExtractOutcome, TextExtractor } from "./text_extractor.ts";

const log = getLogger(["veredus", "search"]);
const outcomes = counter(
  "veredus_search_attachments_total",
  "Attached files whose text was looked for, by what came of it",
  ["outcome"],
);

/** Files of one message that are read. */
const MAX_FILES = 20;

export interface AttachmentLimits {
  /** Larger files are passed over; decoded octets. */
  readonly fileOctets: number;
  /** Of all files of a message together. */
  readonly characters: number;
  /** Processor time for all files of a message, milliseconds. */
  readonly timeMs: number;
}

/** `too-many`: others of the message have used up what is allowed. `unread`: the octets of the message cannot be read. */
type Outcome = ExtractOutcome | "too-many" | "unread";

/** Which message it is, for the log. */
interface Place {
  readonly mailboxId: number;
  readonly uid: number;
}

export interface AttachedFilesOptions {
  readonly blobs: BlobReader;
  readonly extractor: TextExtractor;
  readonly limits: AttachmentLimits;
}

export class AttachedFiles {
  #options: AttachedFilesOptions;
  #turn: Promise<unknown>;

  constructor(options: AttachedFilesOptions) {
    this.#options = options;
    this.#turn = Promise.resolve();
  }

  /** Null: its files have no text. Rejects with an {@linkcode ExtractorFault} where there is no extractor just now. */
  textOf(
    files: readonly AttachedFile[],
    place: Place & { readonly row: Pick<MessageRow, "blob"> },
  ): Promise<string | null> {
    const text = this.#turn.then(() => this.#read(files, place));
    this.#turn = text.catch(() => {}); // told to whom it concerns
    return text;
  }

  /** What it is at is given up. */
  async close(): Promise<void> {
    await this.#options.extractor.close();
  }

  tell(
    outcome: Outcome,
    { mailboxId, uid, name, fault }: Place & { readonly name: string | null; readonly fault: string },
  ): void {
    outcomes.labels({ outcome }).inc();
    const facts = { outcome, mailboxId, uid, name: name ?? "", fault };
    const line = "file {name} of message {uid} in mailbox {mailboxId}: {outcome} {fault}";
    if (outcome === "time" || outcome === "crashed") log.warn(line, facts);
    else log.debug(line, facts);
  }

  async #read(
    files: readonly AttachedFile[],
    place: Place & { readonly row: Pick<MessageRow, "blob"> },
  ): Promise<string | null> {
    const { limits } = this.#options;
    const budget: Budget = { files: MAX_FILES, characters: limits.characters, timeMs: limits.timeMs };
    const texts: string[] = [];
    for (const attached of files) {
      const text = await this.#file({ ...place, attached }, budget);
      if (text !== "") texts.push(text);
    }
    return texts.length === 0 ? null : texts.join("\n");
  }

  /** "" where there is none. */
  async #file(
    file: Place & { readonly row: Pick<MessageRow, "blob">; readonly attached: AttachedFile },
    budget: Budget,
  ): Promise<string> {
    const { row, attached, mailboxId, uid } = file;
    const { blobs, extractor, limits } = this.#options;
    const told = { mailboxId, uid, name: attached.name, fault: "" };
    const passedOver = (outcome: Outcome, fault = "") => {
      this.tell(outcome, { ...told, fault });
      return "";
    };
    if (budget.files-- <= 0 || budget.characters <= 0 || budget.timeMs <= 0) return passedOver("too-many");
    // As base64 it is a third more, with its line ends.
    if (attached.end - attached.start > 1.4 * limits.fileOctets) return passedOver("too-large");
    let octets: Uint8Array;
    try {
      octets = await readFile(blobs, row, attached);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      return passedOver("unread", error.message);
    }
    if (octets.length > limits.fileOctets) return passedOver("too-large");
    if (fileKind(octets) === "other") return passedOver("unsupported");
    const { outcome, text, fault, usedMs } = await extractor.extract({
      octets,
      characters: budget.characters,
      timeMs: budget.timeMs,
    });
    budget.characters -= text.length;
    budget.timeMs -= usedMs;
    this.tell(outcome, { ...told, fault });
    return text;
  }
}

/** What is left for one message. */
interface Budget {
  files: number;
  characters: number;
  timeMs: number;
}

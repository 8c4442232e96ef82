/** The message as checks see it, and what they may ask to be changed. */
import type { BlobAddress } from "../storage/ops.ts";

/** As another thread gets it: the octets themselves, or where they lie on disk, as long as somebody waits for its answer. */
export type Handed = Uint8Array | BlobAddress;

export interface MessageSource {
  readonly octets: number;
  readonly headerOctets: number;
  /** Octets from `offset`, at most `length`. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** The same as they lie in memory, or null: only for who is done with them before the message goes on, whatever becomes of it. */
  held(offset: number, length: number): Uint8Array | null;
  /** Where all of it lies on disk, for other threads to read; null while it is in memory. */
  onDisk(): Promise<BlobAddress> | null;
}

/** One change of the header. `index` counts fields of that name, from 1. */
export type HeaderChange =
  | { readonly kind: "add"; readonly name: string; readonly value: string }
  | { readonly kind: "insert"; readonly at: number; readonly name: string; readonly value: string }
  /** "" removes it. */
  | { readonly kind: "change"; readonly index: number; readonly name: string; readonly value: string };

/** One change of the envelope; addresses and ESMTP parameters as a milter sent them, one character for each octet. */
export type EnvelopeChange =
  | { readonly kind: "sender" | "add-recipient"; readonly address: string; readonly parameters: string }
  | { readonly kind: "remove-recipient"; readonly address: string };

/** Octets of the body that others take the place of; offsets as in MessageSource. */
export interface Replacement {
  readonly start: number;
  readonly end: number;
  readonly octets: Uint8Array;
}

/** Why a message is changed so that its original must be kept. */
export interface KeptOriginal {
  readonly reason: string;
  /** Only the operator may let it go. */
  readonly dangerous: boolean;
}

/** Changes of each sort that one message may get, so that a reply of any length stays bounded. */
const MAX_CHANGES = 500;

export class MessageChanges {
  readonly header: HeaderChange[] = [];
  readonly envelope: EnvelopeChange[] = [];
  /** A new body in pieces; null leaves it. */
  body: Uint8Array[] | null = null;
  /** In order, without overlap; where there are some, `body` does not count. */
  replaced: readonly Replacement[] = [];
  original: KeptOriginal | null = null;

  /** Header or body. */
  get some(): boolean {
    return this.header.length > 0 || this.body !== null || this.replaced.length > 0;
  }

  /** False when there are too many already. */
  add(change: HeaderChange): boolean {
    if (this.header.length >= MAX_CHANGES) return false;
    this.header.push(change);
    return true;
  }

  /** The same for sender and recipients. */
  addToEnvelope(change: EnvelopeChange): boolean {
    if (this.envelope.length >= MAX_CHANGES) return false;
    this.envelope.push(change);
    return true;
  }
}

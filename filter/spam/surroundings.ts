/** What is known of a message besides its octets: who handed it over, what the look-ups said, what was seen before. */

/** What is the same for all recipients. */
export interface Circumstances {
  readonly client: { readonly address: string; readonly heloName: string };
  /** Reverse-path; "" is the null path. */
  readonly sender: string;
  /** Forward-confirmed name of the client: "" has none, null was not looked up or nobody answered. */
  readonly reverseName: string | null;
  /** Results as Authentication-Results names them; "" was not checked. */
  readonly spf: string;
  readonly dmarc: string;
  /** Domains with a good signature, lower case. */
  readonly signers: readonly string[];
  /** A signature was there and none was good. */
  readonly brokenSignature: boolean;
  /** A DKIM, SPF or trusted ARC pass that is aligned with From. */
  readonly aligned: boolean;
  /** Decisions of checks: lists in DNS and of the operator, and what else they tagged. */
  readonly tags: readonly Tag[];
}

export interface Surroundings extends Circumstances {
  /** The recipient has written to From, or allows it. Counts only with `aligned`. */
  readonly known: boolean;
  /** No message of this From was ever seen by the recipient; null is not known. */
  readonly firstContact: boolean | null;
  /** What users did with past mail of the same address, network, domain and signer. */
  readonly reputation: Readonly<Record<ReputationKind, Standing | null>>;
  /** Copies of nearly the same text that users reported or traps got. */
  readonly reportedCopies: number;
}

export interface Tag {
  readonly check: string;
  readonly points: number;
}

export const REPUTATION_KINDS = ["address", "network", "domain", "signer"] as const;
export type ReputationKind = (typeof REPUTATION_KINDS)[number];

/** Messages of each kind that users sorted. */
export interface Standing {
  readonly spam: number;
  readonly ham: number;
}

/**
 * Record data: what stands in RDATA, by type.
 *
 * RFC 1035 3.3 and 3.4.1 (A NS CNAME SOA PTR MX TXT), RFC 3596 (AAAA), RFC 2782 (SRV), RFC 6698 2.1 (TLSA). Every
 * other type stays raw octets (RFC 3597). Names inside are in the form of `dns/name.ts`, in lower case. Pure.
 */

/** TYPE codes of what is taken apart; RFC 1035 3.2.2 and the registry. */
export const TYPE_CODES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  TLSA: 52,
} as const;

export type RecordType = keyof typeof TYPE_CODES;

export interface SoaData {
  readonly type: "SOA";
  readonly primary: string;
  readonly mailbox: string;
  readonly serial: number;
  readonly refreshSeconds: number;
  readonly retrySeconds: number;
  readonly expireSeconds: number;
  /** TTL of negative answers since RFC 2308 4. */
  readonly minimumSeconds: number;
}

export type RecordData =
  /** Dotted decimal. */
  | { readonly type: "A"; readonly address: string }
  /** As RFC 5952 writes it. */
  | { readonly type: "AAAA"; readonly address: string }
  | { readonly type: "NS"; readonly host: string }
  | { readonly type: "CNAME"; readonly target: string }
  | SoaData
  | { readonly type: "PTR"; readonly target: string }
  | { readonly type: "MX"; readonly preference: number; readonly exchange: string }
  /** The character-strings of one record; joining them is up to the reader (RFC 7208 3.3 does). */
  | { readonly type: "TXT"; readonly strings: readonly Uint8Array[] }
  | {
    readonly type: "SRV";
    readonly priority: number;
    readonly weight: number;
    readonly port: number;
    readonly target: string;
  }
  | {
    readonly type: "TLSA";
    readonly usage: number;
    readonly selector: number;
    readonly matching: number;
    readonly association: Uint8Array;
  }
  | { readonly type: "unknown"; readonly code: number; readonly octets: Uint8Array };

/** The data of one type: `DataOf<"MX">` has `preference` and `exchange`. */
export type DataOf<T extends RecordType> = Extract<RecordData, { readonly type: T }>;

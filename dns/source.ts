/** Where answers come from: recursive servers (dns/forward.ts) or the servers of the zones (dns/iterative.ts). */
import type { RrSet } from "./rrset.ts";
import type { Work } from "./work.ts";

export interface SourceQuestion {
  /** Canonical. */
  readonly name: string;
  /** TYPE code. */
  readonly type: number;
  /** Servers (as in {@linkcode Reply.from}) that answered this with something bogus: others are asked. */
  readonly avoid?: ReadonlySet<string>;
}

/** Not validated. */
export interface Reply {
  /** NOERROR or NXDOMAIN. */
  readonly rcode: number;
  readonly answers: readonly RrSet[];
  readonly authorities: readonly RrSet[];
  /** The server's address. */
  readonly from: string;
}

export interface Source {
  /**
   * True when a reply speaks for all names of a chain of aliases in it: a recursive server was asked. A zone's server
   * has a say in its own zone only.
   */
  readonly followsAliases: boolean;
  /** Rejects with ResolveError. */
  ask(question: SourceQuestion, work: Work): Promise<Reply>;
}

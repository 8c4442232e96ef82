/**
 * What a domain part is to us. A domain may be another name of a local one. None (`<Postmaster>`), our host name and address
 * literals of our own mean the default domain: the host name when it is a local domain, else its longest local parent, else the
 * first local domain.
 */
import { normalizeDomain } from "../storage/address_form.ts";
import type { Directory } from "../storage/directory_view.ts";
import type { DomainRow } from "../storage/ops.ts";
import type { Destination } from "./policy.ts";

export interface Place {
  readonly destination: Destination;
  readonly name: string;
  /** Null for foreign ones. */
  readonly row: DomainRow | null;
  /** Only postmaster lives at our bare host name. */
  readonly postmasterOnly: boolean;
}

export class Places {
  readonly #directory: Directory;
  readonly #hostname: string;
  readonly #literals: ReadonlySet<string>;

  /** `ownAddresses`: those this host is reached at. */
  constructor(
    { directory, hostname, ownAddresses }: {
      readonly directory: Directory;
      readonly hostname: string;
      readonly ownAddresses: readonly string[];
    },
  ) {
    this.#directory = directory;
    this.#hostname = normalizeDomain(hostname) ?? hostname.toLowerCase();
    this.#literals = new Set(ownAddresses.map(literalOf));
  }

  /** Null for what is no domain, and where none is ours and the default is meant. */
  of(domain: string): Place | null {
    const directory = this.#directory;
    if (domain === "") return this.#defaultPlace(false);
    if (domain.startsWith("[")) {
      const literal = domain.toLowerCase();
      if (this.#literals.has(literal)) return this.#defaultPlace(false);
      return { destination: "foreign", name: literal, row: null, postmasterOnly: false };
    }
    const name = normalizeDomain(domain);
    if (name === null) return null;
    const row = directory.domain(name);
    if (row !== null) {
      const other = row.aliasOf === "" ? null : directory.domain(row.aliasOf);
      const main = other ?? row;
      return { destination: main.kind, name: main.name, row: main, postmasterOnly: false };
    }
    if (name === this.#hostname) return this.#defaultPlace(true);
    return { destination: "foreign", name, row: null, postmasterOnly: false };
  }

  #defaultPlace(postmasterOnly: boolean): Place | null {
    const row = this.#defaultDomain();
    return row === null ? null : { destination: "local", name: row.name, row, postmasterOnly };
  }

  #defaultDomain(): DomainRow | null {
    const directory = this.#directory;
    for (let name = this.#hostname; name !== "";) {
      const row = directory.domain(name);
      if (row?.kind === "local") return row;
      const dot = name.indexOf(".");
      name = dot < 0 ? "" : name.slice(dot + 1);
    }
    return directory.domains({ after: "", limit: 1_000 }).find(({ kind }) => kind === "local") ?? null;
  }
}

/** RFC 5321 4.1.3. */
function literalOf(address: string): string {
  return address.includes(":") ? `[ipv6:${address.toLowerCase()}]` : `[${address}]`;
}

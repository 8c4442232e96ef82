/**
 * Message-IDs and References (RFC 5322 3.6.4) as numbers, for THREAD: each id has one, and so has each chain of references.
 *
 * A chain is its last id and the chain before that, so that the replies of one thread share what they refer to: of a thread
 * of a hundred messages a hundred links are kept, not five thousand ids. Pure. Grows with what is put in and never
 * shrinks; {@linkcode ReferenceChains.octets} says how far.
 */
import { grown } from "../../bytes/grown.ts";

/** Links with the same last id that are looked through; beyond them a chain is kept once more, which changes no thread. */
const MAX_ALIKE = 8;
/** Of an id in memory, beside its characters. */
const ID_OCTETS = 64;
const LINK_OCTETS = 12;

export class ReferenceChains {
  #numbers = new Map<string, number>();
  /** The newest link that ends in this id, by id; -1 for none. */
  #heads = new Int32Array(0);
  #ids = new Int32Array(0);
  #parents = new Int32Array(0);
  /** The next older link that ends in the same id. */
  #alike = new Int32Array(0);
  #links = 0;
  #characters = 0;

  /** How many ids there are; their numbers are below. */
  get idCount(): number {
    return this.#numbers.size;
  }

  get linkCount(): number {
    return this.#links;
  }

  get octets(): number {
    return this.#characters + ID_OCTETS * this.#numbers.size + LINK_OCTETS * this.#links;
  }

  /** The last id of each chain. */
  get ids(): Int32Array {
    return this.#ids;
  }

  /** The chain before the last id of each chain; -1 for none. A chain's number is larger than that of the one before. */
  get parents(): Int32Array {
    return this.#parents;
  }

  idOf(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const id = this.#numbers.size;
    this.#numbers.set(text, id);
    this.#characters += text.length;
    if (id === this.#heads.length) this.#heads = grown(this.#heads, id + 1, -1);
    return id;
  }

  /** The chain of these ids, oldest first, with a space between; -1 for none. */
  chainOf(references: string): number {
    let chain = -1;
    for (let start = 0; start < references.length;) {
      const space = references.indexOf(" ", start);
      const end = space < 0 ? references.length : space;
      if (end > start) chain = this.#link(chain, this.idOf(references.slice(start, end)));
      start = end + 1;
    }
    return chain;
  }

  #link(parent: number, id: number): number {
    let link = this.#heads[id]!;
    for (let looked = 0; link >= 0 && looked < MAX_ALIKE; looked++) {
      if (this.#parents[link] === parent) return link;
      link = this.#alike[link]!;
    }
    const added = this.#links++;
    if (added === this.#ids.length) {
      this.#ids = grown(this.#ids, added + 1);
      this.#parents = grown(this.#parents, added + 1);
      this.#alike = grown(this.#alike, added + 1);
    }
    this.#ids[added] = id;
    this.#parents[added] = parent;
    this.#alike[added] = this.#heads[id]!;
    this.#heads[id] = added;
    return added;
  }
}

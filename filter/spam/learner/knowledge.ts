/**
 * What was learnt: in how many unwanted and how many wanted messages each token stood. Bounded, and old knowledge fades.
 *
 * An open-addressing table of numbers. When it holds {@linkcode KnowledgeLimits.tokens} tokens all counts are halved and
 * those at nothing go, messages too: what was learnt lately weighs most. A token that was never seen often goes first.
 * In the shared knowledge a token also remembers, in 32 bits, whose users taught it. Pure but for one random number.
 */
export interface KnowledgeLimits {
  readonly tokens: number;
}

export const KNOWLEDGE_LIMITS: KnowledgeLimits = { tokens: 256 * 1024 };
/** Of octets: layout and meaning of tokens. Other versions are learnt anew. */
const KNOWLEDGE_VERSION = 1;
const HEAD = 24;
const ROW = 12;
const MAGIC = 0x56_53_4b_31;
/** Of this process: nobody outside can choose words whose tokens fall into one place of the table. */
const [SECRET = 0, FACTOR = 0] = crypto.getRandomValues(new Uint32Array(2));

function placeOf(token: number, mask: number): number {
  const mixed = Math.imul(token ^ SECRET, FACTOR | 1);
  return (mixed ^ (mixed >>> 15)) & mask;
}

export class KnowledgeFault extends Error {
  override readonly name = "KnowledgeFault";
}

export class Knowledge {
  /** Messages of each kind, in whole and, after fading, half messages. */
  spam = 0;
  ham = 0;
  #limits: KnowledgeLimits;
  #keys: Uint32Array<ArrayBuffer>;
  #spam: Uint16Array<ArrayBuffer>;
  #ham: Uint16Array<ArrayBuffer>;
  #teachers: Uint32Array<ArrayBuffer>;
  #count = 0;

  constructor(limits: KnowledgeLimits = KNOWLEDGE_LIMITS) {
    this.#limits = limits;
    this.#keys = new Uint32Array(1_024);
    this.#spam = new Uint16Array(1_024);
    this.#ham = new Uint16Array(1_024);
    this.#teachers = new Uint32Array(1_024);
  }

  get tokens(): number {
    return this.#count;
  }

  /** Where the counts of a token are; -1 where it is not known. */
  find(token: number): number {
    const mask = this.#keys.length - 1;
    for (let at = placeOf(token, mask);; at = (at + 1) & mask) {
      const key = this.#keys[at]!;
      if (key === token) return at;
      if (key === 0) return -1;
    }
  }

  spamAt(at: number): number {
    return this.#spam[at]!;
  }

  hamAt(at: number): number {
    return this.#ham[at]!;
  }

  /** Distinct users (of up to 32 groups of them) that taught the token. */
  teachersAt(at: number): number {
    let bits = this.#teachers[at]!;
    let count = 0;
    for (; bits !== 0; bits &= bits - 1) count++;
    return count;
  }

  /**
   * One message more (or with -1 one less) of a kind. `teacher` says who, in the shared knowledge. Of one that is not `whole` only
   * these tokens count, not the message.
   */
  learn(tokens: Uint32Array, { spam, ham, teacher = 0, whole = true }: {
    readonly spam: number;
    readonly ham: number;
    readonly teacher?: number;
    readonly whole?: boolean;
  }): void {
    if (whole) {
      this.spam = Math.max(0, this.spam + spam);
      this.ham = Math.max(0, this.ham + ham);
    }
    const bit = teacher === 0 ? 0 : 1 << (Math.imul(teacher, 0x9e3779b1) >>> 27);
    for (const token of tokens) {
      if (token === 0) continue;
      const at = this.#place(token, spam > 0 || ham > 0);
      if (at < 0) continue;
      this.#spam[at] = Math.min(0xffff, Math.max(0, this.#spam[at]! + spam));
      this.#ham[at] = Math.min(0xffff, Math.max(0, this.#ham[at]! + ham));
      this.#teachers[at]! |= bit;
    }
    while (this.#count > this.#limits.tokens) this.#fade();
  }

  #place(token: number, make: boolean): number {
    const mask = this.#keys.length - 1;
    let at = placeOf(token, mask);
    for (;; at = (at + 1) & mask) {
      const key = this.#keys[at]!;
      if (key === token) return at;
      if (key === 0) break;
    }
    if (!make) return -1;
    if ((this.#count + 1) * 2 > this.#keys.length) {
      this.#rebuild(this.#keys.length * 2, () => true);
      return this.#place(token, true);
    }
    this.#keys[at] = token;
    this.#count++;
    return at;
  }

  /** Halves all counts; what came to nothing goes. */
  #fade(): void {
    this.spam /= 2;
    this.ham /= 2;
    for (let at = 0; at < this.#keys.length; at++) {
      this.#spam[at] = this.#spam[at]! >> 1;
      this.#ham[at] = this.#ham[at]! >> 1;
    }
    this.#rebuild(this.#keys.length, (at) => this.#spam[at]! + this.#ham[at]! > 0);
  }

  #rebuild(size: number, keeps: (at: number) => boolean): void {
    const [keys, spam, ham, teachers] = [this.#keys, this.#spam, this.#ham, this.#teachers];
    const kept: number[] = [];
    for (let at = 0; at < keys.length; at++) if (keys[at] !== 0 && keeps(at)) kept.push(at);
    this.#keys = new Uint32Array(size);
    this.#spam = new Uint16Array(size);
    this.#ham = new Uint16Array(size);
    this.#teachers = new Uint32Array(size);
    this.#count = 0;
    for (const from of kept) {
      const at = this.#place(keys[from]!, true);
      this.#spam[at] = spam[from]!;
      this.#ham[at] = ham[from]!;
      this.#teachers[at] = teachers[from]!;
    }
  }

  /** For the store: a head with a checksum, then a row of 12 octets for each token. */
  encode(): Uint8Array<ArrayBuffer> {
    const octets = new Uint8Array(HEAD + this.#count * ROW);
    const view = new DataView(octets.buffer);
    let at = HEAD;
    for (let from = 0; from < this.#keys.length; from++) {
      if (this.#keys[from] === 0) continue;
      view.setUint32(at, this.#keys[from]!);
      view.setUint16(at + 4, this.#spam[from]!);
      view.setUint16(at + 6, this.#ham[from]!);
      view.setUint32(at + 8, this.#teachers[from]!);
      at += ROW;
    }
    view.setUint32(0, MAGIC);
    view.setUint32(4, KNOWLEDGE_VERSION);
    view.setUint32(8, this.#count);
    view.setFloat32(12, this.spam);
    view.setFloat32(16, this.ham);
    view.setUint32(20, checksum(octets));
    return octets;
  }

  /** Throws {@linkcode KnowledgeFault} where the octets are not what was written. */
  static decode(octets: Uint8Array, limits: KnowledgeLimits = KNOWLEDGE_LIMITS): Knowledge {
    const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    if (octets.length < HEAD || view.getUint32(0) !== MAGIC) throw new KnowledgeFault("no knowledge");
    if (view.getUint32(4) !== KNOWLEDGE_VERSION) throw new KnowledgeFault("of another version");
    const count = view.getUint32(8);
    if (octets.length !== HEAD + count * ROW) throw new KnowledgeFault("of another length than it says");
    if (view.getUint32(20) !== checksum(octets)) throw new KnowledgeFault("its checksum is another");
    const knowledge = new Knowledge(limits);
    knowledge.spam = view.getFloat32(12);
    knowledge.ham = view.getFloat32(16);
    if (![knowledge.spam, knowledge.ham].every((messages) => messages >= 0 && messages < Infinity)) {
      throw new KnowledgeFault("of a number of messages that cannot be");
    }
    for (let at = HEAD; at < octets.length; at += ROW) {
      const token = view.getUint32(at);
      if (token === 0 || knowledge.find(token) >= 0) throw new KnowledgeFault("with a token that cannot be");
      const to = knowledge.#place(token, true);
      knowledge.#spam[to] = view.getUint16(at + 4);
      knowledge.#ham[to] = view.getUint16(at + 6);
      knowledge.#teachers[to] = view.getUint32(at + 8);
    }
    return knowledge;
  }
}

/** FNV-1a over everything but the place of the checksum itself. */
function checksum(octets: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < octets.length; i++) {
    if (i >= 20 && i < 24) continue;
    hash = Math.imul(hash ^ octets[i]!, 0x01000193);
  }
  return hash >>> 0;
}

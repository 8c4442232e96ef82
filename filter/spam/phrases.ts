/**
 * Patterns of phrases that are looked for in the text of a message, and not searched for where they cannot stand.
 *
 * What any match must hold, the plain characters of each alternative, is taken from the pattern itself. A text is folded
 * once into the set of its runs of three characters; where those of no alternative are all among them, the pattern does not
 * match, and most patterns of most messages end here. The result is that of the pattern alone. Pure. Hot:
 * bench/micro/spam_bench.ts.
 */

/** Characters of a text that matches are counted in. */
const COUNTED = 100_000;
const CLASS_BITS = 5;
const RUN_MASK = (1 << 3 * CLASS_BITS) - 1;

/** Letters without case, gaps, digits, two marks of money and noise, what is beyond ASCII, and the rest. */
const CLASSES = new Uint8Array(128);
const GAP = 27, DIGIT = 28, DOLLAR = 29, EXCLAMATION = 30, FOREIGN = 31;
for (let letter = 0; letter < 26; letter++) CLASSES[0x61 + letter] = CLASSES[0x41 + letter] = letter + 1;
for (const gap of " \t\n\v\f\r") CLASSES[gap.charCodeAt(0)] = GAP;
for (let digit = 0; digit < 10; digit++) CLASSES[0x30 + digit] = DIGIT;
CLASSES[0x24] = DOLLAR;
CLASSES[0x21] = EXCLAMATION;

function classOf(code: number): number {
  return code < 128 ? CLASSES[code]! : FOREIGN;
}

/** Which characters by class, and which runs of three of them, stand in a text. */
export class Runs {
  readonly #classes: number;
  readonly #runs: Uint32Array<ArrayBuffer>;

  constructor(text: string) {
    const runs = new Uint32Array((RUN_MASK + 1) >>> 5);
    let key = 0;
    let classes = 0;
    for (let i = 0; i < text.length; i++) {
      const found = classOf(text.charCodeAt(i));
      classes |= 1 << found;
      key = (key << CLASS_BITS | found) & RUN_MASK;
      runs[key >>> 5]! |= 1 << (key & 31);
    }
    this.#classes = classes;
    this.#runs = runs;
  }

  /** False where the characters do not stand in the text one behind the other. */
  mayHold(characters: string): boolean {
    let key = 0;
    for (let i = 0; i < characters.length; i++) {
      const wanted = classOf(characters.charCodeAt(i));
      if ((this.#classes & 1 << wanted) === 0) return false;
      key = (key << CLASS_BITS | wanted) & RUN_MASK;
      if (i >= 2 && (this.#runs[key >>> 5]! & 1 << (key & 31)) === 0) return false;
    }
    return true;
  }
}

/** A text with its runs, made when a pattern first asks. */
export interface Searched {
  readonly text: string;
  readonly runs: Runs;
}

export class Phrases {
  readonly #pattern: RegExp;
  readonly #wanted: Wanted;

  /** `pattern` has no `u` or `v` (their `i` takes characters beyond ASCII for letters); its `g` is for {@linkcode count}. */
  constructor(pattern: RegExp) {
    if (pattern.unicode || pattern.unicodeSets) {
      throw new Error(`${pattern}: a pattern of phrases has no u or v`);
    }
    this.#pattern = pattern;
    this.#wanted = new Reader(pattern.source).read();
  }

  standIn({ text, runs }: Searched): boolean {
    return mayStand(this.#wanted, runs) && text.search(this.#pattern) >= 0;
  }

  /** Matches in the first 100,000 characters; the pattern is global. */
  count({ text, runs }: Searched): number {
    return mayStand(this.#wanted, runs) ? text.slice(0, COUNTED).match(this.#pattern)?.length ?? 0 : 0;
  }
}

/** What must stand in a match: plain characters, one of several, or all of them; all of none is unknown. */
type Wanted = string | { readonly any: readonly Wanted[] } | { readonly all: readonly Wanted[] };

const UNKNOWN: Wanted = { all: [] };

function mayStand(wanted: Wanted, runs: Runs): boolean {
  if (typeof wanted === "string") return runs.mayHold(wanted);
  return "any" in wanted
    ? wanted.any.some((one) => mayStand(one, runs))
    : wanted.all.every((one) => mayStand(one, runs));
}

/** Reads the source of a pattern, as far as it says what must stand in a match. */
class Reader {
  readonly #source: string;
  #at: number;

  constructor(source: string) {
    this.#source = source;
    this.#at = 0;
  }

  read(): Wanted {
    const wanted = this.#alternatives();
    if (this.#at < this.#source.length) throw new Error(`${this.#source}: not a pattern`);
    return wanted;
  }

  /** Up to a closing parenthesis or the end. */
  #alternatives(): Wanted {
    const any = [this.#sequence()];
    while (this.#source[this.#at] === "|") {
      this.#at++;
      any.push(this.#sequence());
    }
    return { any };
  }

  #sequence(): Wanted {
    const all: Wanted[] = [];
    let plain = "";
    while (this.#at < this.#source.length && !"|)".includes(this.#source[this.#at]!)) {
      const atom = this.#atom();
      if (atom === PLACE) continue;
      const times = this.#times();
      if (typeof atom === "string" && times !== "none") plain += atom;
      if (typeof atom === "string" && times === "once") continue;
      if (plain !== "") all.push(plain);
      plain = "";
      if (typeof atom !== "string" && times !== "none" && atom !== UNKNOWN) all.push(atom);
    }
    if (plain !== "") all.push(plain);
    return { all };
  }

  #atom(): Wanted | typeof PLACE {
    const character = this.#source[this.#at++]!;
    switch (character) {
      case "^":
      case "$":
        return PLACE;
      case ".":
        return UNKNOWN;
      case "[":
        while (this.#source[this.#at] !== "]") this.#at += this.#source[this.#at] === "\\" ? 2 : 1;
        this.#at++;
        return UNKNOWN;
      case "(":
        return this.#group();
      case "\\":
        return this.#escaped();
      default:
        return character;
    }
  }

  #group(): Wanted {
    if (this.#source[this.#at] === "?") {
      if (!this.#source.startsWith("?:", this.#at)) {
        throw new Error(`${this.#source}: a pattern of phrases looks neither ahead nor behind`);
      }
      this.#at += 2;
    }
    const wanted = this.#alternatives();
    this.#at++; // the parenthesis
    return wanted;
  }

  #escaped(): Wanted | typeof PLACE {
    const escaped = this.#source[this.#at++]!;
    if (escaped === "b" || escaped === "B") return PLACE;
    if (escaped === "u") this.#at += 4;
    if (escaped === "x") this.#at += 2;
    return /\w/.test(escaped) ? UNKNOWN : escaped;
  }

  /** How often the atom before stands there: what follows one that stands once is plainly behind it. */
  #times(): "none" | "once" | "more" {
    const [quantifier, least = ""] = QUANTIFIER.exec(this.#source.slice(this.#at)) ?? [""];
    this.#at += quantifier.length;
    if (quantifier === "") return "once";
    return quantifier.startsWith("+") || Number(least) > 0 ? "more" : "none";
  }
}

/** Between characters. */
const PLACE = Symbol("place");
const QUANTIFIER = /^(?:[?*+]|\{(\d+)(?:,\d*)?\})\??/;

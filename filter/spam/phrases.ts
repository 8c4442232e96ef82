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
  mayHold({ classes, runs }: Needle): boolean {
    if ((this.#classes & classes) !== classes) return false;
    for (let i = 0; i < runs.length; i++) {
      const key = runs[i]!;
      if ((this.#runs[key >>> 5]! & 1 << (key & 31)) === 0) return false;
    }
    return true;
  }
}

/** Characters that are looked for, folded as a text is. */
interface Needle {
  readonly classes: number;
  readonly runs: readonly number[];
}

function needleOf(characters: string): Needle {
  const runs: number[] = [];
  let classes = 0;
  let key = 0;
  for (let i = 0; i < characters.length; i++) {
    const found = classOf(characters.charCodeAt(i));
    classes |= 1 << found;
    key = (key << CLASS_BITS | found) & RUN_MASK;
    if (i >= 2) runs.push(key);
  }
  return { classes, runs };
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

/** What must stand in a match: one of several sequences, each of needles and of what groups want. */
type Wanted = readonly Sequence[];

interface Sequence {
  readonly needles: readonly Needle[];
  readonly groups: readonly Wanted[];
}

function mayStand(wanted: Wanted, runs: Runs): boolean {
  for (let i = 0; i < wanted.length; i++) if (sequenceMayStand(wanted[i]!, runs)) return true;
  return false;
}

function sequenceMayStand({ needles, groups }: Sequence, runs: Runs): boolean {
  for (let i = 0; i < needles.length; i++) if (!runs.mayHold(needles[i]!)) return false;
  for (let i = 0; i < groups.length; i++) if (!mayStand(groups[i]!, runs)) return false;
  return true;
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
    return any;
  }

  #sequence(): Sequence {
    const needles: Needle[] = [];
    const groups: Wanted[] = [];
    let plain = "";
    while (this.#at < this.#source.length && !"|)".includes(this.#source[this.#at]!)) {
      const atom = this.#atom();
      if (atom === PLACE) continue;
      const times = this.#times();
      if (typeof atom === "string" && times !== "none") plain += atom;
      if (typeof atom === "string" && times === "once") continue;
      if (plain !== "") needles.push(needleOf(plain));
      plain = "";
      if (typeof atom === "object" && times !== "none") groups.push(atom);
    }
    if (plain !== "") needles.push(needleOf(plain));
    return { needles, groups };
  }

  /** A plain character, what a group wants, or what is neither. */
  #atom(): string | Wanted | typeof PLACE | typeof UNKNOWN {
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

  #escaped(): string | typeof PLACE | typeof UNKNOWN {
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

/** Between characters; and one of several characters. */
const PLACE = Symbol("place"), UNKNOWN = Symbol("unknown");
const QUANTIFIER = /^(?:[?*+]|\{(\d+)(?:,\d*)?\})\??/;

/**
 * What comes of looking for text in a file, and where the text is gathered meanwhile.
 *
 * Whoever looks writes into a {@linkcode TextSink} until it is full; a file that breaks off in the middle keeps what was
 * found before.
 */

/** What a file says of itself. `empty`: read, and without text (scanned pages). */
export type FileOutcome = "extracted" | "empty" | "encrypted" | "damaged" | "unsupported" | "too-large";

export interface Extraction {
  readonly outcome: FileOutcome;
  /** "" unless `extracted`; its words have one space between them. */
  readonly text: string;
  /** What the reader of the file said where it stumbled, else "". */
  readonly fault: string;
}

const MAX_FAULT = 200;

/** Ends the look at a file. */
export class FileFault extends Error {
  override readonly name = "FileFault";
  readonly outcome: Exclude<FileOutcome, "extracted" | "empty">;

  constructor(outcome: FileFault["outcome"]) {
    super(outcome);
    this.outcome = outcome;
  }
}

export class TextSink {
  #pieces: string[];
  #left: number;
  #blank: boolean;

  /** Takes so many characters (UTF-16 units). */
  constructor(characters: number) {
    this.#pieces = [];
    this.#left = characters;
    this.#blank = true;
  }

  get full(): boolean {
    return this.#left <= 0;
  }

  /** What does not fit is left out, and blanks behind blanks. */
  add(text: string): void {
    const blank = text.trim() === "";
    if (this.full || (blank && this.#blank)) return;
    const piece = blank ? " " : text;
    this.#pieces.push(piece.length > this.#left ? piece.slice(0, this.#left) : piece);
    this.#left -= piece.length;
    this.#blank = blank;
  }

  /** Well-formed, without the spaces and line ends of the layout: a phrase is found across them. */
  text(): string {
    return this.#pieces.join("").replace(/[\s\0]+/g, " ").trim().toWellFormed();
  }
}

/** Runs `look`; whatever it throws is the file's fault. What it found before counts. */
export async function extractBy(
  look: (sink: TextSink) => void | Promise<void>,
  characters: number,
): Promise<Extraction> {
  const sink = new TextSink(characters);
  let outcome: FileOutcome = "empty", fault = "";
  try {
    await look(sink);
  } catch (error) {
    outcome = error instanceof FileFault ? error.outcome : "damaged";
    fault = String(error).slice(0, MAX_FAULT);
  }
  const text = sink.text();
  return { outcome: text === "" ? outcome : "extracted", text, fault };
}

/**
 * The header fields that a signature names (RFC 6376 5.4.2): each instance once, from the bottom up; a name that has no
 * instance left stands for nothing.
 */
import { latin1 } from "../bytes/decode.ts";
import { type FieldSpan, scanFields } from "../message/header.ts";

export class HeaderFields {
  readonly block: Uint8Array;
  readonly spans: readonly FieldSpan[];

  constructor(block: Uint8Array) {
    this.block = block;
    this.spans = scanFields(block, 0, block.length);
  }

  /** Those of a header block, which may have been found already. */
  static of(header: Uint8Array | HeaderFields): HeaderFields {
    return header instanceof HeaderFields ? header : new HeaderFields(header);
  }

  /** The field with its line end, one character an octet. */
  text(span: FieldSpan): string {
    return latin1(this.block, span.start, span.end);
  }

  named(name: string): FieldSpan[] {
    return this.spans.filter((span) => span.name === name);
  }

  /** The fields that `names` (lower case) select, in that order. */
  select(names: readonly string[]): string[] {
    const left = new Map<string, FieldSpan[]>();
    const texts: string[] = [];
    for (const name of names) {
      let spans = left.get(name);
      if (spans === undefined) left.set(name, spans = this.named(name));
      const span = spans.pop();
      if (span !== undefined) texts.push(this.text(span));
    }
    return texts;
  }
}

/** The syntax tree of a script by the generic grammar (RFC 5228 8.2): every command and test has the same shape. */

export interface StringNode {
  /** With escapes undone; `${...}` as written. */
  readonly text: string;
  readonly at: number;
}

export type ArgumentNode =
  | { readonly kind: "tag"; readonly name: string; readonly at: number }
  | { readonly kind: "number"; readonly value: number; readonly at: number }
  /** `list` is false for a string that stands without brackets. */
  | {
    readonly kind: "strings";
    readonly values: readonly StringNode[];
    readonly list: boolean;
    readonly at: number;
  };

/** A command, or a test. */
export interface Node {
  /** In lower case. */
  readonly name: string;
  readonly at: number;
  readonly arguments: readonly ArgumentNode[];
  readonly tests: readonly Node[];
  /** Null where the command ends with a semicolon, and for tests. */
  readonly block: readonly Node[] | null;
}

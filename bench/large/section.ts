/** What figures that start servers of their own are given. */
import type { LoadGenerator } from "../load.ts";
import type { Row } from "../row.ts";
import type { VeredusOptions } from "../veredus.ts";

/** Where servers run, and the data of them, which has the accounts of makeAccounts and nobody else's server. */
export interface Place extends VeredusOptions {
  readonly generator: LoadGenerator;
  /** For what is needed beside the data; removed at the end. */
  readonly folder: string;
}

/** Measures the figures with these names. */
export type Section = (place: Place, names: readonly string[]) => Promise<Row[]>;

/** The MTA-STS policy that our own domains publish (RFC 8461 3.2); its id follows from its text. Pure. */
import { createHash } from "node:crypto";
import type { StsMode } from "./mta_sts.ts";

/** Characters of an id; RFC 8461 3.1 allows 32. */
const ID_LENGTH = 20;

export interface OwnPolicy {
  readonly text: string;
  /** Changes with the text. */
  readonly id: string;
}

export function ownPolicy(
  { mode, hostname, maxAgeMs }: {
    readonly mode: StsMode;
    readonly hostname: string;
    readonly maxAgeMs: number;
  },
): OwnPolicy {
  const lines = [
    "version: STSv1",
    `mode: ${mode}`,
    `mx: ${hostname}`,
    `max_age: ${Math.floor(maxAgeMs / 1_000)}`,
  ];
  const text = lines.map((line) => `${line}\r\n`).join("");
  return { text, id: createHash("sha256").update(text).digest("hex").slice(0, ID_LENGTH) };
}

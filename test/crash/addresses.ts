/** Who takes part in a crash run. */
export const ALICE = "alice@example.test";
export const BOB = "bob@example.test";
/** An alias of both. */
export const EVERYONE = "everyone@example.test";
/** An alias of BOB and of OUTSIDER. */
export const MIXED = "mixed@example.test";
/** A group of all three. */
export const TEAM = "team@example.test";
export const OUTSIDER = "away@outside.test";
export const PASSWORD = "secret";
export const LMTP_PORT = 24;

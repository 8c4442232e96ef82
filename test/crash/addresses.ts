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
/** Has a filter script: no duplicates, a copy to AWAY, an answer to each sender. */
export const CAROL = "carol@example.test";
export const AWAY = "away@elsewhere.test";
/** Teaches the spam filter. */
export const DAVE = "dave@example.test";
/** Whose INBOX is emptied by POP3. */
export const ERIN = "erin@example.test";
/** Whose scripts change all the time. */
export const FRANK = "frank@example.test";
/** Mail from there is set aside, and let go a moment later. */
export const HELD_DOMAIN = "held.test";
export const PASSWORD = "secret";
export const LMTP_PORT = 24;
export const MANAGESIEVE_PORT = 4190;

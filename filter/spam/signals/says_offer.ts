import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const OFFERS = new Phrases(
  /100% (?:free|guarantee|satisf|legal)|money.?back|risk.?free|no (?:obligation|cost|risk|catch|strings)|limited time|act now|order (?:now|today)|call (?:now|today|toll)|toll.?free|guaranteed?\b|special offer|absolutely free|for free|free (?:trial|quote|info|access|gift|membership|consult)|lowest (?:price|rate)|save (?:up to|thousands|money|\$)|as seen on|once in a lifetime|why (?:pay|wait)|credit cards? accepted/gi,
);

export const saysOffer: Signal = {
  name: "says-offer",
  weight: 1.2,
  explain: "it makes offers as mass mail does",
  find: ({ mail }) => Math.min(1, OFFERS.count(mail) / 3),
};

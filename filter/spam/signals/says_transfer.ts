import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const FORTUNES = new Phrases(
  /next of kin|million (?:united states|u\.?s\.?) dollars|transfer (?:of|this|the) (?:fund|money|sum)|bank account|confidential|foreign (?:partner|account)|beneficiary|\bnigeria|late (?:president|husband|father)|strictly|trustworth|inheritance|security company|lottery|winning/gi,
);

export const saysTransfer: Signal = {
  name: "says-transfer",
  weight: 2,
  explain: "it asks for help with a fortune",
  find: ({ mail }) => Math.min(1, FORTUNES.count(mail) / 4),
};

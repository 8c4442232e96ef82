import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const CLICK = new Phrases(
  /click (?:here|below|on the link|the link|this link|now)|klick(?:en)? sie|cliquez ici|haga clic/i,
);

export const saysClick: Signal = {
  name: "says-click",
  weight: 0.9,
  explain: "it asks to click",
  find: ({ mail }) => CLICK.standIn(mail),
};

/** Bounces and delay notices in English. */
import type { DsnText } from "../dsn.ts";

export const EN: DsnText = {
  from: "Mail Delivery System",
  subject: {
    failure: "Undelivered mail: your message could not be delivered",
    delay: "Delayed mail: your message has not been delivered yet",
    success: "Your message was delivered",
  },
  opening: {
    failure: [
      "This is the mail server at {host}.",
      "",
      "Your message could not be delivered to the recipients below. It will not be",
      "tried again. If the reason is not clear, please ask your postmaster and",
      "include this report.",
    ],
    delay: [
      "This is the mail server at {host}.",
      "",
      "Your message has not been delivered to the recipients below yet.",
      "THIS IS A WARNING ONLY. YOU DO NOT NEED TO SEND THE MESSAGE AGAIN.",
      "It will be tried until {until}.",
    ],
    success: [
      "This is the mail server at {host}.",
      "",
      "You asked to be told what becomes of your message. Here is how it went for",
      "the recipients below.",
    ],
  },
  success: {
    delivered: "  Delivered.",
    relayed: "  Sent on to a server that does not confirm deliveries.",
    expanded: "  Passed on to the addresses behind this one; their servers send no confirmation.",
  },
  said: "  {remote} said: {text}",
  reason: "  Reason: {text}",
  message: ["Your message was received {arrived} with this id: {trace}."],
  full: "The message follows.",
  headers: "The header of the message follows.",
};

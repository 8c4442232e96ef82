/** The word to the administrator when another server says that our address is on a list; once a day for each of them. */
import { administratorNotice } from "./administrator_notice.ts";
import { type OwnMail, type PostOptions, prepareOwnMail } from "./post.ts";

const DAY_MS = 86_400_000;

export function listedNotice(
  { hostname, filter: { administrator } }: {
    readonly hostname: string;
    readonly filter: { readonly administrator: string };
  },
  { destination, text, id = crypto.randomUUID(), now = Date.now() }: {
    readonly destination: string;
    readonly text: string;
    readonly id?: string;
    readonly now?: number;
  },
): OwnMail {
  return administratorNotice({ hostname, administrator }, {
    kind: "listed",
    id,
    subject: "Another server says that our address is on a list",
    text: [
      `${destination} refuses mail because our address is on a list:`,
      "",
      `  ${text.slice(0, 500)}`,
      "",
      "It gets one message now and then until one is taken; the others wait. Look at what was sent, have the address",
      "taken off the list, then `veredus queue retry --destination DOMAIN`.",
    ],
    now,
  });
}

/** Files the notice unless one of the same key was filed within a day. */
export async function tellOnce(post: PostOptions, mail: OwnMail, key: string): Promise<void> {
  const now = post.clock();
  if (post.store.policy.get("noticed", key, now) !== null) return;
  const prepared = await prepareOwnMail(post, mail);
  if (!("operation" in prepared)) throw new Error(prepared.refused);
  const row = {
    ...{ kind: "noticed" as const, key, firstAt: now, lastAt: now, count: 1, note: "" },
    expiresAt: now + DAY_MS,
  };
  const result = await post.store.write({ kind: "once", row, ops: [prepared.operation] });
  if (!result.ok) throw new Error(`${result.fault}: ${result.detail}`);
}

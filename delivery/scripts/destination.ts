/** The mailbox that a script means: by its id, its special use, its name; made where the script asks for it. */
import type { Filing } from "../../sieve/outcome.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { Store } from "../../storage/store.ts";
import { mailboxById, sameUse } from "./host.ts";

/** Null where there is no such mailbox. */
export async function destinationOf(
  store: Store,
  account: Account,
  { mailbox, create, specialUse, mailboxId }: Pick<Filing, "mailbox" | "create" | "specialUse" | "mailboxId">,
): Promise<number | null> {
  const byId = mailboxId === null ? null : mailboxById(store, account, mailboxId);
  if (byId !== null) return byId.id;
  const byUse = specialUse === null
    ? undefined
    : store.mailboxes.list(account.id).find((one) => sameUse(one.specialUse, specialUse) && one.selectable);
  if (byUse !== undefined) return byUse.id;
  const named = store.mailboxes.byName(account.id, mailbox);
  if (named?.selectable) return named.id;
  if (!create) return null;
  const made = await store.write({
    kind: "create-mailbox",
    accountId: account.id,
    name: mailbox,
    specialUse,
  });
  if (!made.ok || made.kind !== "mailbox") return store.mailboxes.byName(account.id, mailbox)?.id ?? null;
  await store.write({ kind: "subscribe", accountId: account.id, name: mailbox, subscribed: true });
  return made.mailboxId;
}

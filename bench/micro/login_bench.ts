/** A cached login: what each further connection of a mail client costs. Budget: 20 us. */
import { MemoryFailures } from "../../auth/failures.ts";
import { hashPassword } from "../../auth/password_hash.ts";
import { Authenticator } from "../../auth/login.ts";
import { accountRow } from "../../test/lib/account_row.ts";
import type { Store } from "../../storage/store.ts";
import { normalizeAddress } from "../../storage/address_form.ts";

const account = accountRow({ passwordHash: await hashPassword("secret") });
const store = { directory: { account: () => account }, onChange: () => () => {} } as unknown as Store;
const auth = new Authenticator({ store, clock: () => 1_000, failures: new MemoryFailures() });
const attempt = {
  login: "alice@example.test",
  password: "secret",
  address: "127.0.0.1",
  protocol: "imap",
} as const;
await auth.login(attempt);

Deno.bench("cached login", async () => {
  await auth.login(attempt);
});
Deno.bench("normal form of an address", () => {
  normalizeAddress("alice@example.test");
});

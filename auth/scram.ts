/**
 * SCRAM verifiers of passwords: made off the event loop, and made up for users that do not exist.
 *
 * A made-up verifier has a salt that depends on the name and a secret of this installation, and the iterations of ours:
 * it is the same tomorrow, so that asking twice tells nothing (RFC 5802 9). No password fits it.
 */
import { createHmac, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import { formatScram, parseScram, type ScramVerifier } from "../protocols/sasl/scram.ts";
import { normalizeAddress } from "../storage/address_form.ts";
import type { Directory } from "../storage/directory_view.ts";
import { accountOfLogin } from "./login_name.ts";
import { opaqueString } from "./password_hash.ts";

/** RFC 7677 4 asks for 4,096 at least. */
const SCRAM_ITERATIONS = 10_000;
const SALT_OCTETS = 16;
const derive = promisify(pbkdf2);
/** A verifier like any other, of zeros. */
const NOBODY = formatScram(new Uint8Array(32), {
  salt: new Uint8Array(SALT_OCTETS),
  iterations: SCRAM_ITERATIONS,
});

/** The stored form for a password. */
export async function makeScram(password: string): Promise<string> {
  const salt = new Uint8Array(randomBytes(SALT_OCTETS));
  const salted = await derive(opaqueString(password), salt, SCRAM_ITERATIONS, 32, "sha256");
  return formatScram(new Uint8Array(salted), { salt, iterations: SCRAM_ITERATIONS });
}

/** SaltedPassword of RFC 5802 3, off the event loop: for our own logins elsewhere. */
export async function saltedPassword(
  password: string,
  { salt, iterations }: { readonly salt: Uint8Array; readonly iterations: number },
): Promise<Uint8Array> {
  return new Uint8Array(await derive(opaqueString(password), salt, iterations, 32, "sha256"));
}

/** The verifier of a login; one that nothing fits where there is none. */
export function scramOf(directory: Directory, login: string, secret: Uint8Array): ScramVerifier {
  const address = normalizeAddress(login);
  const account = accountOfLogin(directory, login);
  // A text is read in any case, so that it takes the same time.
  const stored = parseScram(account?.scram ?? NOBODY);
  const part = (purpose: string) =>
    new Uint8Array(createHmac("sha256", secret).update(`${purpose}\0${address ?? login}`).digest());
  const unknown: ScramVerifier = {
    iterations: SCRAM_ITERATIONS,
    salt: part("salt").subarray(0, SALT_OCTETS),
    storedKey: part("stored key"),
    serverKey: part("server key"),
  };
  return stored !== null && account?.scram != null && account.enabled ? stored : unknown;
}

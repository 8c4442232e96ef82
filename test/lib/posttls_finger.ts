/** Postfix's posttls-finger, the second opinion on DANE, over a DNS server of the test; and TLSA records for zone files. */
import { createHash } from "node:crypto";
import { missingPrograms } from "./dns_lab.ts";
import { run } from "./program.ts";
import type { Issued } from "./test_ca.ts";

const FINGER = "/usr/sbin/posttls-finger";

/** Why it cannot be asked here; null when it can. */
export function whyNoDane(): string | null {
  const missing = missingPrograms();
  if (missing.length > 0) return `not installed: ${missing.join(", ")}`;
  try {
    Deno.statSync(FINGER);
  } catch {
    return "not installed: postfix";
  }
  return Deno.uid() === 0
    ? null
    : "a name server of its own for posttls-finger (port 53, /etc/resolv.conf) needs root";
}

/** Presentation of a TLSA record that fits. */
export function tlsa(usage: number, selector: number, matching: number, { der, spki }: Issued): string {
  const octets = selector === 0 ? der : spki;
  const data = matching === 0
    ? Buffer.from(octets).toString("hex")
    : createHash(matching === 1 ? "sha256" : "sha512").update(octets).digest("hex");
  return `${usage} ${selector} ${matching} ${data}`;
}

/** What it says of a server, as verified by DANE. */
export async function finger(
  nameServer: string,
  destination: string,
): Promise<{ trusted: boolean; said: string }> {
  const file = await Deno.makeTempFile({ prefix: "veredus-finger-" });
  await Deno.writeTextFile(file, `nameserver ${nameServer}\n`);
  await Deno.chmod(file, 0o644); // it gives its rights away before it asks
  const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'; // in a view of the files of its own
  const level = ["-c", "-l", "dane-only", "-o", "inet_protocols=ipv4", "-L", "summary"];
  const { stdout, stderr } = await run("unshare", [
    ...["--mount", "sh", "-c", script, file],
    ...[FINGER, ...level, destination],
  ]);
  await Deno.remove(file);
  const said = stdout + stderr;
  return { trusted: /: Verified TLS connection established/.test(said), said };
}

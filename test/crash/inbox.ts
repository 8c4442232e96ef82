/**
 * One INBOX of a crash run: what was acknowledged for it, what was checked and expunged.
 *
 * What SMTP and LMTP acknowledged is there at the next start, once. Mail of a group and of the
 * quarantine goes through the queue: it comes later, but once, too.
 */
import { ImapClient, literalText } from "../lib/imap_client.ts";
import type { ServerProcess } from "../lib/server_process.ts";
import { PASSWORD } from "./addresses.ts";
import { markerOf } from "./messages.ts";

/** What markers of mail to the group begin with. */
export const GROUP_MARK = "team-";
/** Of mail that goes through the quarantine. */
export const HELD_MARK = "held-";

export class Inbox {
  readonly login: string;
  readonly acknowledged = new Set<string>();
  /** Acknowledged mail of group and quarantine that is not here yet. */
  readonly awaited = new Set<string>();
  readonly removed = new Set<string>();

  constructor(login: string) {
    this.login = login;
  }

  /** Reads it, checks it, and expunges what was checked; the markers seen now. */
  async check(server: ServerProcess, findings: string[]): Promise<Set<string>> {
    const client = await ImapClient.connect(server.port(143), { login: this.login, password: PASSWORD });
    await client.ok("SELECT INBOX");
    const seen = new Set<string>();
    let last = 0;
    const { untagged } = await client.ok("UID FETCH 1:* (UID BODY.PEEK[])");
    for (const response of untagged) {
      if (response.literals.length === 0) continue;
      last = Math.max(last, Number(/UID (\d+)/.exec(response.line)?.[1]));
      const marker = markerOf(literalText(response));
      if (marker === null) {
        findings.push(`INBOX of ${this.login}: octets differ in ${response.line.slice(0, 60)}`);
      } else this.#saw(marker, seen, findings);
    }
    for (const marker of this.acknowledged) {
      if (!seen.has(marker)) {
        findings.push(`INBOX of ${this.login}: ${marker} was acknowledged and is missing`);
      }
    }
    this.acknowledged.clear();
    if (seen.size > 0) {
      // And no more: others come meanwhile.
      await client.ok(`UID STORE 1:${last} +FLAGS.SILENT (\\Deleted)`);
      await client.ok(`UID EXPUNGE 1:${last}`);
      for (const marker of seen) {
        this.removed.add(marker);
        this.awaited.delete(marker);
      }
    }
    await client.logout();
    return seen;
  }

  #saw(marker: string, seen: Set<string>, findings: string[]): void {
    if (this.removed.has(marker)) findings.push(`INBOX of ${this.login}: ${marker} was expunged and is back`);
    else if (seen.has(marker)) findings.push(`INBOX of ${this.login}: ${marker} is there twice`);
    seen.add(marker);
  }
}

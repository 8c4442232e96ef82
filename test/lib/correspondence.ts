/** Users of {@linkcode ProductionServer}s who write to each other by nodemailer and read by IMAP. */
import nodemailer from "nodemailer";
import { ImapClient, literalText } from "./imap_client.ts";
import type { ProductionServer } from "./production_server.ts";

/** Everybody's. */
export const PASSWORD = "a long enough secret";

/** The messages of an INBOX whose subject holds the text, newest last. */
export async function inbox(server: ProductionServer, login: string, subject: string): Promise<string[]> {
  const client = await ImapClient.connect(143, { hostname: server.address, login, password: PASSWORD });
  await client.ok("SELECT INBOX");
  const found = (await client.ok(`UID SEARCH SUBJECT "${subject}"`)).untagged
    .find(({ line }) => line.startsWith("* SEARCH"))!.line.slice(9).trim();
  const texts = found === ""
    ? []
    : (await client.ok(`UID FETCH ${found.replaceAll(" ", ",")} (BODY.PEEK[])`)).untagged
      .filter(({ literals }) => literals.length > 0).map(literalText);
  await client.logout();
  return texts;
}

/** By submission under TLS. */
export function submit(
  server: ProductionServer,
  mail: { from: string; to: string; subject: string; inReplyTo?: string },
): Promise<unknown> {
  const transport = nodemailer.createTransport({
    host: server.address,
    port: 465,
    secure: true,
    tls: { rejectUnauthorized: false },
    auth: { user: mail.from, pass: PASSWORD },
  });
  return transport.sendMail({ ...mail, text: `About ${mail.subject}.\n.\nEnd.` }).finally(() =>
    transport.close()
  );
}

/** What the tests read of a row of `queue list`. */
export interface QueueItem {
  readonly recipient: string;
  readonly attempts: number;
  readonly state: string;
  readonly lastReply: string;
}

export async function queueOf(server: ProductionServer): Promise<QueueItem[]> {
  return JSON.parse(await server.command(["queue", "list", "--json"])) as QueueItem[];
}

/** A company of a provider's story: its mail server, Veredus or Debian's Postfix, and its users. */
import { inbox, queueOf, submit } from "./correspondence.ts";
import { Postfix } from "./postfix.ts";
import type { ProductionServer } from "./production_server.ts";
import { until } from "./program.ts";
import { SmtpClient } from "./smtp_client.ts";

export interface Letter {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
}

export interface Company {
  /** A user of it sends. */
  submit(letter: Letter): Promise<unknown>;
  /** Messages of a user whose subject holds the text, with CRLF. */
  inbox(user: string, subject: string): Promise<string[]>;
  /** Recipients in its queue. */
  waiting(): Promise<number>;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Ends it and takes its folder away. */
  remove(): Promise<void>;
  log(): string;
}

export function veredusCompany(server: ProductionServer): Company {
  return {
    submit: (letter) => submit(server, letter),
    inbox: (user, subject) => inbox(server, user, subject),
    waiting: async () => (await queueOf(server)).length,
    start: () => server.start(),
    stop: () => server.stop(),
    remove: () => server.remove(),
    log: () => server.output,
  };
}

const NOBODY = "65534";

/** Users' mail is in maildirs; whoever speaks from 127.0.0.1 is one of them. */
export async function postfixCompany(
  address: string,
  { hostname, dns, users, main }: {
    readonly hostname: string;
    readonly dns: string;
    /** Addresses, and whose mailbox each is. */
    readonly users: Readonly<Record<string, string>>;
    readonly main: Readonly<Record<string, string>>;
  },
): Promise<Company> {
  const mail = await Deno.makeTempDir({ prefix: "veredus-postfix-mail-" });
  await Deno.chown(mail, Number(NOBODY), Number(NOBODY));
  const addresses = Object.keys(users);
  const postfix = await Postfix.start(address, {
    hostname,
    dns,
    main: {
      mynetworks: "127.0.0.1/32",
      virtual_mailbox_domains: [...new Set(addresses.map((one) => one.split("@")[1]!))].join(", "),
      virtual_mailbox_base: mail,
      virtual_mailbox_maps: `inline:{ ${addresses.map((one) => `{${one}=${users[one]}/}`).join(" ")} }`,
      virtual_uid_maps: `static:${NOBODY}`,
      virtual_gid_maps: `static:${NOBODY}`,
      smtpd_relay_restrictions: "permit_mynetworks, reject_unauth_destination",
      ...main,
    },
  });
  return {
    submit: async ({ from, to, subject }) => {
      const client = await SmtpClient.connect(25, { hostname: address });
      const text =
        `From: ${from}\r\nTo: ${to}\r\nSubject: ${subject}\r\n\r\nAbout ${subject}.\r\n.\r\nEnd.\r\n`;
      await client.send(from, [to], text);
      await client.quit();
    },
    inbox: (user, subject) => Promise.resolve(maildir(`${mail}/${users[user]}/new`, subject)),
    waiting: async () => (await postfix.queue()).flatMap(({ recipients }) => recipients).length,
    start: () => postfix.start(),
    stop: () => postfix.stop(),
    remove: async () => {
      await postfix.remove();
      await Deno.remove(mail, { recursive: true });
    },
    log: () => postfix.log(),
  };
}

function maildir(folder: string, subject: string): string[] {
  let names: string[];
  try {
    names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return []; // nothing has come yet
    throw error;
  }
  const texts = names.map((name) => Deno.readTextFileSync(`${folder}/${name}`).replace(/\r?\n/g, "\r\n"));
  return texts.filter((text) =>
    new RegExp(`^Subject: .*${RegExp.escape(subject)}`, "m").test(text.split("\r\n\r\n")[0]!)
  );
}

export function arrives(company: Company, user: string, subject: string): Promise<string> {
  return until(`"${subject}" for ${user}`, async () => (await company.inbox(user, subject))[0] ?? null);
}

/** The report on a message with this subject that could not be delivered. */
export function returns(company: Company, user: string, subject: string): Promise<string> {
  return until(`the report on "${subject}" for ${user}`, async () => {
    const texts = await company.inbox(user, "");
    return texts.find((text) =>
      /report-type="?delivery-status/i.test(text) && text.includes(`Subject: ${subject}\r\n`)
    ) ?? null;
  });
}

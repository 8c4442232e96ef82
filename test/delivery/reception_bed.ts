/** A reception over a real store, and clients that send one message through it as the SMTP driver does. */
import { InboundReception } from "../../delivery/inbound.ts";
import type { InboundConfig, InboundOptions } from "../../delivery/inbound/setting.ts";
import { type ClientFacts, isReply } from "../../delivery/reception.ts";
import type { Check } from "../../filter/check.ts";
import {
  type MailParameters,
  NO_MAIL_PARAMETERS,
  NO_RCPT_PARAMETERS,
  type RcptParameters,
} from "../../protocols/smtp/parameters.ts";
import type { Path } from "../../protocols/smtp/path.ts";
import type { Reply } from "../../protocols/smtp/reply.ts";
import type { WriteOp } from "../../storage/ops.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { QueueListRow } from "../../storage/queue.ts";
import { TestStore, type TestStoreOptions } from "../lib/test_store.ts";

/** Mon, 23 Nov 2026 20:09:29 +0000 */
export const NOW = Date.UTC(2026, 10, 23, 20, 9, 29);
export const DAY_MS = 86_400_000;

export const STRANGER: ClientFacts = {
  sessionId: "session1",
  address: "192.0.2.1",
  port: 4711,
  heloName: "client.example",
  esmtp: true,
  tls: null,
  service: "mx",
  account: null,
  trusted: false,
};

export const CONFIG: InboundConfig = {
  messageOctets: 1_000_000,
  recipients: 100,
  captureOutbound: "",
  vrfy: "nobody",
  expn: "nobody",
  ownAddresses: ["192.0.2.25", "2001:db8::25"],
  queueLifetimeMs: 5 * DAY_MS,
  bounceLifetimeMs: 2 * DAY_MS,
  quarantineMs: 30 * DAY_MS,
};

/** A check that has another subject and another body for every message. */
export const CHANGER: Check = {
  ...{ name: "changer", stages: ["message"] },
  run({ changes }) {
    changes!.add({ kind: "change", name: "Subject", index: 1, value: "changed" });
    changes!.body = [octetsOf("Another body\r\n")];
    return { action: "tag", reason: "changed" };
  },
};

export interface Letter {
  readonly client?: ClientFacts;
  /** "" is the null path. */
  readonly from?: string;
  readonly to: readonly string[];
  /** One character per octet. */
  readonly message: string;
  readonly parameters?: Partial<MailParameters>;
  /** Of every recipient. */
  readonly rcpt?: Partial<RcptParameters>;
  /** Octets of one write. */
  readonly pieceOctets?: number;
}

export interface Answers {
  readonly mail: Reply | null;
  readonly rcpt: readonly Reply[];
  /** Null when no recipient was taken. */
  readonly data: Reply | null;
}

export class ReceptionBed {
  readonly test: TestStore;
  readonly reception: InboundReception;
  #ids: number;

  private constructor(test: TestStore, config: Partial<InboundConfig>, more: Partial<InboundOptions>) {
    this.test = test;
    this.#ids = 0;
    this.reception = new InboundReception({
      store: test.store,
      hostname: "mx.example.test",
      clock: () => NOW,
      newId: () => `trace${++this.#ids}`,
      config: { ...CONFIG, ...config },
      ...more,
    });
  }

  static async open(
    config: Partial<InboundConfig> = {},
    options: TestStoreOptions = {},
    more: Partial<InboundOptions> = {},
  ): Promise<ReceptionBed> {
    // One clock for all: what a message leaves behind is over at its own time, not by the calendar.
    const writer = { clock: more.clock ?? (() => NOW), ...options.writer };
    return new ReceptionBed(await TestStore.open({ ...options, writer }), config, more);
  }

  async ok(...ops: WriteOp[]): Promise<void> {
    for (const op of ops) await this.test.ok(op);
  }

  account(name: string): Account {
    return this.test.store.directory.account(`${name}@example.test`)!;
  }

  /** Facts of a client that has logged in on the submission port. */
  login(name: string): ClientFacts {
    return {
      ...STRANGER,
      service: "submission",
      account: this.account(name),
      tls: { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" },
    };
  }

  async send(letter: Letter): Promise<Answers> {
    const { client = STRANGER, from = "sender@remote.example", to, message, pieceOctets = 1_000 } = letter;
    const transaction = this.reception.mail(client, {
      reversePath: from === "" ? null : pathOf(from),
      parameters: { ...NO_MAIL_PARAMETERS, ...letter.parameters },
    });
    if (isReply(transaction)) return { mail: transaction, rcpt: [], data: null };
    const rcpt: Reply[] = [];
    for (const recipient of to) {
      rcpt.push(await transaction.rcpt(pathOf(recipient), { ...NO_RCPT_PARAMETERS, ...letter.rcpt }));
    }
    if (!rcpt.some(({ code }) => code === 250)) {
      transaction.discard();
      return { mail: null, rcpt, data: null };
    }
    const early = await transaction.begin();
    if (early !== null) return { mail: null, rcpt, data: early };
    const octets = octetsOf(message);
    // The buffer is borrowed for one call only, as the driver's is.
    const buffer = new Uint8Array(pieceOctets + 7);
    for (let at = 0; at < octets.length; at += pieceOctets) {
      const piece = octets.subarray(at, at + pieceOctets);
      buffer.fill(0x21);
      buffer.set(piece, 7);
      await transaction.write(buffer, 7, 7 + piece.length);
    }
    const data = await transaction.finish();
    transaction.discard();
    return { mail: null, rcpt, data };
  }

  /** Every message of a mailbox as a reader gets it: prefix and shared octets, one character per octet. */
  stored(account: string, mailbox = "INBOX"): string[] {
    const { store } = this.test;
    return store.messages.rows(this.test.mailboxId(account, mailbox), [[1, 2 ** 31]], {
      limit: 1_000,
      withImap: true,
    }).map(({ prefix, blob }) => text(prefix) + text(store.blobs.readSync(blob, 0, blob.length)));
  }

  queued(): QueueListRow[] {
    return this.test.store.queue.list({}, { afterRecipientId: 0, limit: 1_000 });
  }

  /** Shared octets of a queued message. */
  queuedOctets(row: QueueListRow): string {
    const { store } = this.test;
    const { blob } = store.queue.message(row.queueId)!;
    return text(store.blobs.readSync(blob, 0, blob.length));
  }

  async close(): Promise<void> {
    await this.test.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** `local@domain` (local part unquoted) or `postmaster`. */
export function pathOf(address: string): Path {
  const at = address.lastIndexOf("@");
  return {
    localPart: at < 0 ? address : address.slice(0, at),
    domain: at < 0 ? "" : address.slice(at + 1),
    // deno-lint-ignore no-control-regex
    international: /[^\x00-\x7f]/.test(address),
  };
}

export function octetsOf(message: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(message, (character) => character.charCodeAt(0));
}

export function text(octets: Uint8Array): string {
  let result = "";
  for (let at = 0; at < octets.length; at += 8_192) {
    result += String.fromCharCode(...octets.subarray(at, at + 8_192));
  }
  return result;
}

export function line({ code, enhanced }: Reply): string {
  return `${code} ${enhanced}`;
}

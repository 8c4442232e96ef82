/**
 * Mail on its way in: what the SMTP session asks at MAIL, VRFY, EXPN and ETRN, under settings that may change meanwhile.
 *
 * The story of one message is told in inbound/transaction.ts.
 */
import { getLogger } from "@logtape/logtape";
import { SessionScreen } from "../filter/screen.ts";
import type { MailParameters } from "../protocols/smtp/parameters.ts";
import type { Path } from "../protocols/smtp/path.ts";
import type { Reply } from "../protocols/smtp/reply.ts";
import { Mail } from "./inbound/mail.ts";
import { type InboundConfig, type InboundOptions, type Setting, settingOf } from "./inbound/setting.ts";
import { InboundTransaction } from "./inbound/transaction.ts";
import { lookupReply } from "./lookup.ts";
import { mailRefusal } from "./policy.ts";
import { type OwnMail, type PostOptions, prepareOwnMail } from "./post.ts";
import type { ClientFacts, Reception, Transaction } from "./reception.ts";
import { countMailRefused } from "./reception_metrics.ts";
import { startQueue } from "./start_queue.ts";

const log = getLogger(["veredus", "delivery"]);

export class InboundReception implements Reception {
  #setting: Setting;

  constructor(options: InboundOptions) {
    this.#setting = settingOf(options, options.config);
  }

  /** For mail of our own. */
  get post(): PostOptions {
    return this.#setting.post;
  }

  /** Files a message of our own; nobody waits for it. */
  noticed(mail: OwnMail): void {
    const { post, options: { store } } = this.#setting;
    prepareOwnMail(post, mail).then(async (prepared) => {
      if ("operation" in prepared) await store.write(prepared.operation);
      else {log.warn("a notice to {to} has nobody to go to: {why}", {
          to: mail.recipients[0],
          why: prepared.refused,
        });}
    }).catch((error) => log.error("a notice could not be written: {error}", { error }));
  }

  screen(): SessionScreen | null {
    const { chains } = this.#setting.options;
    return chains === undefined ? null : new SessionScreen(chains);
  }

  /** New settings; transactions under way keep the old ones. */
  configure(config: InboundConfig): void {
    this.#setting = settingOf(this.#setting.options, config);
  }

  mail(
    client: ClientFacts,
    mail: { readonly reversePath: Path | null; readonly parameters: MailParameters },
  ): Transaction | Reply {
    const { options: { store }, config } = this.#setting;
    const refusal = mailRefusal(client, mail, {
      directory: store.directory,
      diskFull: store.diskFull(),
      messageOctets: config.messageOctets,
    });
    if (refusal !== null) {
      countMailRefused(refusal.enhanced);
      return refusal;
    }
    return new InboundTransaction(new Mail(this.#setting, client, mail));
  }

  lookup(client: ClientFacts, question: { readonly verb: "VRFY" | "EXPN"; readonly text: string }): Reply {
    const { options: { store }, config, resolver } = this.#setting;
    return lookupReply(client, question, { directory: store.directory, resolver, policy: config });
  }

  etrn(_client: ClientFacts, text: string): Promise<Reply> {
    const { store, clock } = this.#setting.options;
    return startQueue(store, text, clock());
  }
}

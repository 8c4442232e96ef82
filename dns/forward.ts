/** Answers of recursive servers, with the signatures where they are to be checked here. */
import { describe, replyOf, summary } from "./reply.ts";
import type { Reply, Source, SourceQuestion } from "./source.ts";
import { type UpstreamOptions, Upstreams } from "./upstream.ts";
import type { Work } from "./work.ts";

export class ForwardSource implements Source {
  readonly followsAliases = true;
  readonly #upstreams: Upstreams;
  readonly #dnssec: boolean;

  constructor(options: UpstreamOptions & { readonly dnssec: boolean }) {
    this.#upstreams = new Upstreams(options);
    this.#dnssec = options.dnssec;
  }

  async ask(question: SourceQuestion, work: Work): Promise<Reply> {
    const { name, type, avoid } = question;
    work.trace(() => `ask the recursive servers for ${describe(question)}`);
    const { message, server } = await this.#upstreams.ask({
      name,
      type,
      end: work.end,
      dnssec: this.#dnssec,
      ...(avoid !== undefined && { avoid }),
      spend: () => work.take("queries") ? null : work.exhausted("queries", name),
    });
    const reply = replyOf(message, { name, from: server.address });
    work.trace(() => `${server.address} answers ${summary(reply)}`);
    return reply;
  }
}

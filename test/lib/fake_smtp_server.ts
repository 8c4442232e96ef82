/** Another mail server for tests of sending: speaks SMTP on a loopback socket and does what its script says. */

/** What the server does at one command; null is the usual answer. */
export type Answer =
  | null
  | string
  /** Hangs up, before or after a last line. */
  | { readonly cut: string };

export interface FakeServerOptions {
  readonly extensions?: readonly string[];
  /** Called for each command line ("connect" for the greeting, "." for the end of data). */
  readonly script?: (command: string, session: FakeSession) => Answer | Promise<Answer>;
  readonly hostname?: string;
  readonly port?: number;
  readonly lmtp?: boolean;
  /** Does not know BDAT whatever it offers: takes each line of the chunk for a command. */
  readonly withoutBdat?: boolean;
  /** Path of a Unix socket in place of host and port. */
  readonly unix?: string;
}

export interface FakeMessage {
  readonly sender: string;
  readonly recipients: readonly string[];
  /** As received, dots undone. */
  readonly data: string;
}

export interface FakeSession {
  readonly number: number;
  /** Address of the client; "" on a Unix socket. */
  readonly peer: string;
  /** Commands so far, the present one included. */
  readonly commands: string[];
  /** Messages that were accepted in this session. */
  messages: number;
  /** Accepted recipients of the running transaction. */
  readonly recipients: string[];
}

export class FakeSmtpServer {
  readonly messages: FakeMessage[] = [];
  readonly sessions: FakeSession[] = [];
  readonly #options: FakeServerOptions;
  readonly #listener: Deno.Listener;
  #connections = new Set<Deno.Conn>();
  #running: Promise<void>[] = [];
  #closed = false;

  constructor(options: FakeServerOptions = {}) {
    this.#options = options;
    this.#listener = options.unix !== undefined
      ? Deno.listen({ transport: "unix", path: options.unix })
      : Deno.listen({ hostname: options.hostname ?? "127.0.0.1", port: options.port ?? 0 });
    this.#running.push(this.#accept());
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  get commands(): string[] {
    return this.sessions.flatMap(({ commands }) => commands);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listener.close();
    for (const connection of this.#connections) closeQuietly(connection);
    await Promise.all(this.#running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #accept(): Promise<void> {
    while (!this.#closed) {
      let connection: Deno.Conn;
      try {
        connection = await this.#listener.accept();
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
      this.#connections.add(connection);
      this.#running.push(
        this.#serve(connection).catch((error) => {
          if (
            !(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
              error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)
          ) throw error;
        }).finally(() => {
          this.#connections.delete(connection);
          closeQuietly(connection);
        }),
      );
    }
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    const session: FakeSession = {
      number: this.sessions.length + 1,
      peer: connection.remoteAddr.transport === "tcp" ? connection.remoteAddr.hostname : "",
      commands: [],
      messages: 0,
      recipients: [],
    };
    this.sessions.push(session);
    const lines = new Lines(connection);
    const say = async (text: string) => await writeAll(connection, new TextEncoder().encode(text + "\r\n"));
    let sender = "";
    let begun = false;
    let chunks = "";
    const answer = async (command: string, usual: string): Promise<string | null> => {
      session.commands.push(command);
      const scripted = await this.#options.script?.(command, session) ?? null;
      if (scripted !== null && typeof scripted === "object") {
        if (scripted.cut !== "") await say(scripted.cut);
        closeQuietly(connection);
        return null;
      }
      await say(scripted ?? usual);
      return scripted ?? usual;
    };
    if (await answer("connect", "220 fake.test ESMTP") === null) return;
    for (;;) {
      const line = await lines.next();
      if (line === null) return;
      const verb = line.split(" ")[0]!.toUpperCase();
      let said: string | null;
      switch (verb) {
        case "EHLO":
        case "LHLO": {
          const extensions = this.#options.extensions ?? ["PIPELINING", "SIZE 50000000", "8BITMIME"];
          const all = ["fake.test", ...extensions];
          said = await answer(
            line,
            all.map((word, at) => `250${at === all.length - 1 ? " " : "-"}${word}`).join("\r\n"),
          );
          break;
        }
        case "MAIL":
          session.recipients.length = 0;
          sender = /<(.*?)>/.exec(line)?.[1] ?? "";
          said = await answer(line, "250 2.1.0 ok");
          begun = said?.startsWith("250") ?? false;
          break;
        case "RCPT":
          said = await answer(line, begun ? "250 2.1.5 ok" : "503 5.5.1 MAIL first");
          if (said?.startsWith("250")) session.recipients.push(/<(.*?)>/.exec(line)?.[1] ?? "");
          break;
        case "DATA": {
          said = await answer(line, session.recipients.length > 0 ? "354 go on" : "503 5.5.1 RCPT first");
          if (!said?.startsWith("354")) break;
          const data = await lines.data();
          if (data === null) return;
          const recipients = [...session.recipients];
          if (this.#options.lmtp) {
            for (const recipient of recipients) {
              said = await answer(`. ${recipient}`, "250 2.0.0 taken");
              if (said?.startsWith("250")) this.messages.push({ sender, recipients: [recipient], data });
            }
          } else {
            said = await answer(".", "250 2.0.0 taken");
            if (said?.startsWith("250")) {
              session.messages++;
              this.messages.push({ sender, recipients, data });
            }
          }
          session.recipients.length = 0;
          break;
        }
        case "BDAT": {
          if (this.#options.withoutBdat) {
            said = await answer(line, "500 5.5.2 what");
            break;
          }
          const [, size = "", last] = line.split(" ");
          chunks += await lines.octets(Number(size)) ?? "";
          said = await answer(
            line,
            session.recipients.length > 0 ? "250 2.0.0 taken" : "503 5.5.1 RCPT first",
          );
          if (!said?.startsWith("250")) chunks = "";
          if (last === undefined || !said?.startsWith("250")) break;
          session.messages++;
          this.messages.push({ sender, recipients: [...session.recipients], data: chunks });
          session.recipients.length = 0;
          chunks = "";
          break;
        }
        case "QUIT":
          await answer(line, "221 2.0.0 bye");
          return;
        default:
          said = await answer(
            line,
            this.#options.withoutBdat && !/^RSET\b/i.test(line) ? "500 5.5.2 what" : "250 2.0.0 ok",
          );
      }
      if (said === null) return;
    }
  }
}

class Lines {
  #connection: Deno.Conn;
  #text = "";

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  async next(): Promise<string | null> {
    for (;;) {
      const at = this.#text.indexOf("\r\n");
      if (at >= 0) {
        const line = this.#text.slice(0, at);
        this.#text = this.#text.slice(at + 2);
        return line;
      }
      if (!await this.#read()) return null;
    }
  }

  async data(): Promise<string | null> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.next();
      if (line === null) return null;
      if (line === ".") return lines.map((text) => `${text}\r\n`).join("");
      lines.push(line.startsWith(".") ? line.slice(1) : line);
    }
  }

  async octets(count: number): Promise<string | null> {
    while (this.#text.length < count) if (!await this.#read()) return null;
    const octets = this.#text.slice(0, count);
    this.#text = this.#text.slice(count);
    return octets;
  }

  async #read(): Promise<boolean> {
    const buffer = new Uint8Array(65_536);
    const octets = await this.#connection.read(buffer);
    if (octets === null) return false;
    this.#text += Array.from(buffer.subarray(0, octets), (octet) => String.fromCharCode(octet)).join("");
    return true;
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** A plain SMTP client for tests: one command at a time, replies as `{code, lines}`. */
import { Wire } from "./wire.ts";

export interface SmtpReply {
  readonly code: number;
  /** Text of each line, without code and separator. */
  readonly lines: string[];
}

export class SmtpClient {
  readonly wire: Wire;

  private constructor(wire: Wire) {
    this.wire = wire;
  }

  /** Connects, reads the greeting and says EHLO, or LHLO (RFC 2033). */
  static async connect(
    port: number,
    options: { hostname?: string; timeoutMs?: number; greeting?: "EHLO" | "LHLO" } = {},
  ): Promise<SmtpClient> {
    const client = new SmtpClient(await Wire.connect(port, options));
    await client.expect(220);
    await client.command(`${options.greeting ?? "EHLO"} client.example`, 250);
    return client;
  }

  async reply(): Promise<SmtpReply> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.wire.line();
      lines.push(line.slice(4));
      if (line[3] !== "-") return { code: Number(line.slice(0, 3)), lines };
    }
  }

  async expect(code: number): Promise<SmtpReply> {
    const reply = await this.reply();
    if (reply.code !== code) {
      throw new Error(`expected ${code}, got ${reply.code} ${reply.lines.join(" / ")}`);
    }
    return reply;
  }

  /** Sends a line; with `code` given, anything else is an error. */
  async command(line: string, code?: number): Promise<SmtpReply> {
    await this.wire.write(line + "\r\n");
    return code === undefined ? await this.reply() : await this.expect(code);
  }

  async authPlain(login: string, password: string): Promise<void> {
    await this.command(`AUTH PLAIN ${btoa(`\0${login}\0${password}`)}`, 235);
  }

  /** MAIL, RCPT, DATA, message (CRLF lines; dots are stuffed here). Resolves with the reply to the end of data. */
  async send(from: string, to: string[], message: string): Promise<SmtpReply> {
    await this.command(`MAIL FROM:<${from}>`, 250);
    for (const recipient of to) await this.command(`RCPT TO:<${recipient}>`, 250);
    await this.command("DATA", 354);
    const body = message.replaceAll("\r\n.", "\r\n..").replace(/^\./, "..");
    await this.wire.write(body + (body.endsWith("\r\n") ? "" : "\r\n") + ".\r\n");
    return await this.reply();
  }

  async quit(): Promise<void> {
    await this.command("QUIT");
    this.wire.close();
  }

  close(): void {
    this.wire.close();
  }
}

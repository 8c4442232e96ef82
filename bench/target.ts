/** A server under load: where it listens and which processes it is. */
export interface Target {
  readonly name: string;
  readonly smtp: number;
  /** Where mail to other domains is handed in, and as whom. */
  readonly outbound: { readonly port: number; readonly options: Readonly<Record<string, string>> };
  /** 0 where the server has no mailboxes. */
  readonly imap: number;
  readonly imaps: number;
  readonly pop3: number;
  pids(): number[];
  stop(): Promise<void>;
}

export const DOMAIN = "example.test";
export const PASSWORD = "secret";
/** u1.. are read, with mailboxes that stay as they were filled; d1.. are delivered to. */
export const READERS = "u", RECEIVERS = "d";
export const USERS = 10;
/** r1.. are the recipients of messages to many. */
export const CROWD = "r", CROWD_SIZE = 100;

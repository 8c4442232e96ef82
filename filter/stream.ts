/** A connection to a filter beside the server. Sockets are given by the caller, so that tests need none. */

export interface ByteStream {
  /** Null at the end. */
  read(): Promise<Uint8Array | null>;
  write(bytes: Uint8Array): Promise<void>;
  close(): void;
}

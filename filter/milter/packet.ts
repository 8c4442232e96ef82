/**
 * Packets of the milter protocol, version 6: a length of four octets, a command letter, its data.
 *
 * As libmilter's `mfdef.h` has it. Pure; what the other side sends never throws and never grows beyond
 * {@linkcode MAX_PACKET}.
 */
import { encode, latin1 } from "../../bytes/decode.ts";
import { MACRO_STEPS, type MacroLists, type MacroStep } from "./macros.ts";

/** A body chunk of ours; replies may be a little larger. */
export const CHUNK_OCTETS = 65_535;
export const MAX_PACKET = 1024 * 1024;

/**
 * What we let milters do: add and change header fields (0x01, 0x10), replace the body (0x02), add and remove recipients
 * (0x04, 0x80, 0x08), quarantine (0x20), change the sender (0x40); and say which macros they want (0x100).
 */
export const ACTIONS = 0x1ff;
/** Macros that a milter may name for one step, so that what it is told stays bounded. */
const MAX_MACROS = 100;

/** Steps a milter does not want, and those it does not answer. */
export const STEP = {
  NO_CONNECT: 0x01,
  NO_HELO: 0x02,
  NO_MAIL: 0x04,
  NO_RCPT: 0x08,
  NO_BODY: 0x10,
  NO_HEADERS: 0x20,
  NO_EOH: 0x40,
  NO_REPLY_HEADER: 0x80,
  NO_DATA: 0x200,
  SKIP: 0x400,
  NO_REPLY_CONNECT: 0x1000,
  NO_REPLY_HELO: 0x2000,
  NO_REPLY_MAIL: 0x4000,
  NO_REPLY_RCPT: 0x8000,
  NO_REPLY_DATA: 0x10000,
  NO_REPLY_EOH: 0x40000,
  NO_REPLY_BODY: 0x80000,
} as const;
export const ALL_STEPS = Object.values(STEP).reduce((all, step) => all | step, 0);

export interface Packet {
  readonly command: string;
  readonly data: Uint8Array;
}

export function encodePacket(command: string, data: Uint8Array = NOTHING): Uint8Array<ArrayBuffer> {
  const packet = new Uint8Array(5 + data.length);
  new DataView(packet.buffer).setUint32(0, data.length + 1);
  packet[4] = command.charCodeAt(0);
  packet.set(data, 5);
  return packet;
}

/** Strings behind one another, each with its NUL; NUL inside is dropped. One octet a character. */
export function strings(...texts: string[]): Uint8Array<ArrayBuffer> {
  const joined = texts.map((text) => `${text.replaceAll("\0", "")}\0`).join("");
  return Uint8Array.from(joined, (character) => character.charCodeAt(0) & 0xff);
}

/** The same of texts that are Unicode: as UTF-8. */
export function utf8Strings(...texts: string[]): Uint8Array<ArrayBuffer> {
  return encode(texts.map((text) => `${text.replaceAll("\0", "")}\0`).join(""));
}

export function uint32(...values: number[]): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(values.length * 4);
  values.forEach((value, at) => new DataView(data.buffer).setUint32(at * 4, value >>> 0));
  return data;
}

const NOTHING = new Uint8Array(0);

/** Cuts a stream into packets. */
export class PacketReader {
  #pending: Uint8Array = NOTHING;
  /** A length that cannot be: nothing more is read. */
  broken = false;

  push(bytes: Uint8Array): void {
    if (this.broken) return;
    const joined = new Uint8Array(this.#pending.length + bytes.length);
    joined.set(this.#pending);
    joined.set(bytes, this.#pending.length);
    this.#pending = joined;
  }

  /** Null when more octets are needed. */
  next(): Packet | null {
    if (this.#pending.length < 5) return null;
    const length = new DataView(this.#pending.buffer, this.#pending.byteOffset).getUint32(0);
    if (length < 1 || length > MAX_PACKET) {
      this.broken = true;
      this.#pending = NOTHING;
      return null;
    }
    if (this.#pending.length < 4 + length) return null;
    const packet = {
      command: String.fromCharCode(this.#pending[4]!),
      data: this.#pending.slice(5, 4 + length),
    };
    this.#pending = this.#pending.subarray(4 + length);
    return packet;
  }
}

/** What a milter answers. `null`: it makes no sense. */
export type MilterReply =
  | { readonly kind: "continue" | "accept" | "reject" | "tempfail" | "discard" | "progress" | "skip" }
  | { readonly kind: "reply"; readonly code: number; readonly enhanced: string; readonly text: string }
  | {
    readonly kind: "options";
    readonly version: number;
    readonly actions: number;
    readonly steps: number;
    readonly macros: MacroLists;
  }
  | { readonly kind: "add-header"; readonly name: string; readonly value: string }
  | { readonly kind: "insert-header"; readonly index: number; readonly name: string; readonly value: string }
  | { readonly kind: "change-header"; readonly index: number; readonly name: string; readonly value: string }
  | { readonly kind: "body"; readonly octets: Uint8Array }
  | { readonly kind: "quarantine"; readonly reason: string }
  /** Addresses and ESMTP parameters as they came, one character for each octet. */
  | { readonly kind: "sender" | "add-recipient"; readonly address: string; readonly parameters: string }
  | { readonly kind: "remove-recipient"; readonly address: string };

const PLAIN: Readonly<
  Record<string, "continue" | "accept" | "reject" | "tempfail" | "discard" | "progress" | "skip">
> = {
  c: "continue",
  a: "accept",
  r: "reject",
  t: "tempfail",
  f: "tempfail",
  d: "discard",
  p: "progress",
  s: "skip",
};

export function parseReply({ command, data }: Packet): MilterReply | null {
  const plain = PLAIN[command];
  if (plain !== undefined) return { kind: plain };
  switch (command) {
    case "O":
      return data.length < 12 ? null : {
        kind: "options",
        version: word(data, 0),
        actions: word(data, 4),
        steps: word(data, 8),
        macros: macroLists(data, 12),
      };
    case "y":
      return replyCode(textOf(data));
    case "h": {
      const [name, value] = pair(data, 0);
      return name === "" ? null : { kind: "add-header", name, value };
    }
    case "i":
    case "m": {
      if (data.length < 5) return null;
      const [name, value] = pair(data, 4);
      const kind = command === "i" ? "insert-header" : "change-header";
      return name === "" ? null : { kind, index: word(data, 0), name, value };
    }
    case "b":
      return { kind: "body", octets: data };
    case "e":
    case "+":
    case "2": {
      const [address, parameters] = pair(data, 0);
      const kind = command === "e" ? "sender" : "add-recipient";
      return address === "" ? null : { kind, address, parameters: command === "+" ? "" : parameters };
    }
    case "-": {
      const address = textOf(data);
      return address === "" ? null : { kind: "remove-recipient", address };
    }
    case "q":
      return { kind: "quarantine", reason: textOf(data) };
    default:
      return null;
  }
}

/** SMFIF_SETSYMLIST: the number of a step, names with spaces between, NUL; and again. What makes no sense is no list. */
function macroLists(data: Uint8Array, start: number): MacroLists {
  const lists = new Map<MacroStep, readonly string[]>();
  for (let at = start; at + 4 < data.length;) {
    const step = MACRO_STEPS[word(data, at)];
    const end = data.indexOf(0, at + 4);
    if (step === undefined || end < 0) break;
    const names = latin1(data, at + 4, end).split(/[ ,]+/).filter((name) => name !== "");
    lists.set(step, names.slice(0, MAX_MACROS));
    at = end + 1;
  }
  return lists;
}

function replyCode(text: string): MilterReply | null {
  const match = /^([45]\d\d)(?:[ -]([45]\.\d{1,3}\.\d{1,3}))?(?:[ -](.*))?$/s.exec(text);
  if (match === null) return null;
  const [, code = "", enhanced = `${code[0]}.7.1`, words = ""] = match;
  return {
    kind: "reply",
    code: Number(code),
    enhanced,
    text: words.split(/\r?\n/)[0]!.replaceAll("%%", "%"),
  };
}

function word(data: Uint8Array, at: number): number {
  return new DataView(data.buffer, data.byteOffset).getUint32(at);
}

function textOf(data: Uint8Array): string {
  const end = data.indexOf(0);
  return latin1(data, 0, end < 0 ? data.length : end);
}

function pair(data: Uint8Array, at: number): [string, string] {
  const [name = "", value = ""] = latin1(data, at, data.length).split("\0");
  return [name, value];
}

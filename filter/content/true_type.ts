/**
 * What a file is by its first octets, whatever it is called. Pure.
 *
 * Executables are what systems run when it is opened: programs, classes, shortcuts, compiled help. A jar or an apk is a
 * zip, what is in it counts.
 */
import { latin1 } from "../../bytes/decode.ts";

/** So many octets tell every type. */
export const HEAD_OCTETS = 4_096;

const EXECUTABLE = [
  "windows-program",
  "dos-program",
  "elf",
  "mach-o",
  "java-class",
  "dex",
  "shortcut",
  "help",
] as const;
const CONTAINER = ["zip", "gzip", "tar", "ole"] as const;
const CLOSED = ["rar", "7z", "xz", "bzip2", "cab", "arj", "ace", "lha", "iso"] as const;

export type Executable = (typeof EXECUTABLE)[number];
/** Archives that are looked into. */
export type Container = (typeof CONTAINER)[number];
/** Archives that are not. */
export type Closed = (typeof CLOSED)[number];
export type TrueType = Executable | Container | Closed | "other";

const MAGIC: readonly (readonly [offset: number, octets: string, type: TrueType])[] = [
  [0, "\x7fELF", "elf"],
  [0, "\xfe\xed\xfa\xce", "mach-o"],
  [0, "\xfe\xed\xfa\xcf", "mach-o"],
  [0, "\xce\xfa\xed\xfe", "mach-o"],
  [0, "\xcf\xfa\xed\xfe", "mach-o"],
  [0, "\xca\xfe\xba\xbe", "java-class"], // Mach-O for several processors begins so too
  [0, "dex\n0", "dex"],
  [0, "L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F", "shortcut"],
  [0, "ITSF\x03\0\0\0", "help"],
  [0, "PK\x03\x04", "zip"],
  [0, "PK\x05\x06", "zip"],
  [0, "PK\x07\x08PK\x03\x04", "zip"],
  [0, "\x1f\x8b\x08", "gzip"],
  [0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"],
  [0, "Rar!\x1a\x07", "rar"],
  [0, "7z\xbc\xaf\x27\x1c", "7z"],
  [0, "\xfd7zXZ\0", "xz"],
  [0, "BZh", "bzip2"],
  [0, "MSCF\0\0\0\0", "cab"],
  [0, "\x60\xea", "arj"],
  [7, "**ACE**", "ace"],
  [2, "-lh", "lha"],
];
const ISO_AT = 0x8001;
const TAR_OCTETS = 512;

/** `head` are the first octets, as many as are at hand. */
export function trueType(head: Uint8Array): TrueType {
  const text = latin1(head, 0, Math.min(head.length, 32));
  for (const [offset, octets, type] of MAGIC) if (text.startsWith(octets, offset)) return type;
  if (text.startsWith("MZ") || text.startsWith("ZM")) {
    // Words may begin so: a header has numbers, most of them small.
    for (let i = 2; i < Math.min(head.length, 64); i++) if (head[i]! < 9) return program(head);
  }
  if (isTarHeader(head, 0)) return "tar";
  if (head.length > ISO_AT + 5 && latin1(head, ISO_AT, ISO_AT + 5) === "CD001") return "iso";
  return "other";
}

export function isExecutable(type: TrueType): type is Executable {
  return (EXECUTABLE as readonly string[]).includes(type);
}

export function isContainer(type: TrueType): type is Container {
  return (CONTAINER as readonly string[]).includes(type);
}

export function isClosed(type: TrueType): type is Closed {
  return (CLOSED as readonly string[]).includes(type);
}

function program(head: Uint8Array): Executable {
  if (head.length < 0x40) return "dos-program";
  const at = new DataView(head.buffer, head.byteOffset).getUint32(0x3c, true);
  return at > 0 && at + 2 <= head.length && /^(PE|NE|LE|LX)$/.test(latin1(head, at, at + 2))
    ? "windows-program"
    : "dos-program";
}

/** By its checksum, which old forms without a magic have too. */
export function isTarHeader(octets: Uint8Array, at: number): boolean {
  if (at + TAR_OCTETS > octets.length || octets[at] === 0) return false;
  const stated = octal(octets, at + 148, at + 156);
  if (stated === null) return false;
  let sum = 8 * 0x20; // the checksum counts as spaces
  for (let i = 0; i < TAR_OCTETS; i++) if (i < 148 || i >= 156) sum += octets[at + i]!;
  return sum === stated;
}

/** Numbers of tar headers: octal digits; null where there are none. */
export function octal(octets: Uint8Array, start: number, end: number): number | null {
  const digits = /^ *([0-7]+)[ \0]*$/.exec(latin1(octets, start, end).replace(/\0[\s\S]*$/, ""));
  return digits === null ? null : parseInt(digits[1]!, 8);
}

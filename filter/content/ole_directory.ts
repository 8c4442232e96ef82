/**
 * What the directory of a compound file ([MS-CFB] 2.6) gives away: macros, encryption, installer packages. Pure.
 *
 * Its entries are looked for wherever one may stand, so that a broken chain of sectors hides nothing.
 */
const ENTRY = 128;
const FIRST_SECTOR = 512;
const MACROS: ReadonlySet<string> = new Set(["VBA", "_VBA_PROJECT", "_VBA_PROJECT_CUR", "Macros"]);
const ENCRYPTED: ReadonlySet<string> = new Set(["EncryptedPackage", "EncryptionInfo"]);
/** {000C108x-0000-0000-C000-000000000046} of the root, without the octet that varies. */
const INSTALLER = [0x10, 0x0c, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46];

export interface OleFindings {
  readonly macros: boolean;
  readonly encrypted: boolean;
  /** A Windows installer package or patch. */
  readonly installer: boolean;
}

export function oleFindings(octets: Uint8Array): OleFindings {
  let macros = false, encrypted = false, installer = false;
  for (let at = FIRST_SECTOR; at + ENTRY <= octets.length; at += ENTRY) {
    const type = octets[at + 66]!;
    if (type !== 1 && type !== 2 && type !== 5) continue;
    const length = octets[at + 64]! | octets[at + 65]! << 8;
    if (length < 4 || length > 64 || length % 2 !== 0) continue;
    const name = nameOf(octets, at, length);
    if (name === null) continue;
    if (MACROS.has(name)) macros = true;
    else if (ENCRYPTED.has(name)) encrypted = true;
    else if (type === 5 && (octets[at + 80]! & 0xf0) === 0x80) {
      installer ||= INSTALLER.every((octet, i) => octets[at + 81 + i] === octet);
    }
  }
  return { macros, encrypted, installer };
}

/** UTF-16LE of ASCII, ended by NUL; null where it is something else. */
function nameOf(octets: Uint8Array, at: number, length: number): string | null {
  let name = "";
  for (let i = at; i < at + length - 2; i += 2) {
    if (octets[i + 1] !== 0 || octets[i]! < 0x20 || octets[i]! > 0x7e) return null;
    name += String.fromCharCode(octets[i]!);
  }
  return name;
}

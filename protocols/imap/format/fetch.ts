/** The beginning of a FETCH response (RFC 3501 7.4.2), or of UIDFETCH (RFC 9586 3.3). Pure. */

export function fetchHead(uidOnly: boolean, sequence: number, uid: number): string {
  return uidOnly ? `* ${uid} UIDFETCH (` : `* ${sequence} FETCH (`;
}

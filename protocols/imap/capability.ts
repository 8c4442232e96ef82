/** What we can do, by state (RFC 3501 7.2.1). A capability stands here only when its commands are served. Pure. */

export interface CapabilityFacts {
  readonly authenticated: boolean;
  readonly startTlsAvailable: boolean;
  /** Passwords are refused until TLS is active (RFC 3501 11.2). */
  readonly loginDisabled: boolean;
  readonly literals: "LITERAL+" | "LITERAL-";
  /** SASL mechanisms, in capitals. */
  readonly mechanisms: readonly string[];
  /** Largest message of APPEND (RFC 7889). */
  readonly appendLimitOctets: number;
  /** Messages of one command, and those it may save (RFC 9738); 0 is any number. */
  readonly messageLimit: number;
  readonly saveLimit: number;
  /** Where scripts are managed (RFC 6785 2.1); "" is nowhere. */
  readonly sieveUrl: string;
  /** Mailboxes can be shared (RFC 4314). */
  readonly sharing: boolean;
  /** This account may set quotas (RFC 9208 4.1.3). */
  readonly quotaSet: boolean;
  /** Capabilities this account is not told of, in capitals ({@linkcode isHidden}): a way around faults of its clients. */
  readonly hidden: ReadonlySet<string>;
}

const BEFORE_LOGIN = "IMAP4rev1 IMAP4rev2 SASL-IR ENABLE ID IDLE";
/** What every account has; the session adds what depends on settings. */
export const AFTER_LOGIN =
  "IMAP4rev1 IMAP4rev2 SASL-IR ENABLE ID IDLE UIDPLUS MOVE NAMESPACE UNSELECT CHILDREN SPECIAL-USE STATUS=SIZE CONDSTORE " +
  "QRESYNC ESEARCH SEARCHRES WITHIN LIST-EXTENDED LIST-STATUS CREATE-SPECIAL-USE UNAUTHENTICATE UTF8=ACCEPT " +
  "QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE INPROGRESS COMPRESS=DEFLATE METADATA METADATA-SERVER LIST-METADATA PREVIEW " +
  "MULTIAPPEND REPLACE BINARY PARTIAL UIDONLY UIDBATCHES MULTISEARCH CONTEXT=SEARCH CONTEXT=SORT NOTIFY SEARCH=FUZZY SAVEDATE OBJECTID " +
  "SORT SORT=DISPLAY ESORT THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT " +
  "I18NLEVEL=1 I18NLEVEL=2";

/** Whether an account is not told of a capability: it is named whole, or what stands before its "=". */
export function isHidden(hidden: ReadonlySet<string>, name: string): boolean {
  const folded = name.toUpperCase();
  return hidden.has(folded) || hidden.has(folded.replace(/=.*$/, ""));
}

/** The capabilities separated by spaces. */
export function capabilities(facts: CapabilityFacts): string {
  let text = `${facts.authenticated ? AFTER_LOGIN : BEFORE_LOGIN} ${facts.literals}`;
  if (facts.authenticated) {
    text += ` APPENDLIMIT=${facts.appendLimitOctets}`;
    if (facts.sieveUrl !== "") text += ` IMAPSIEVE=${facts.sieveUrl}`;
    if (facts.sharing) text += " ACL RIGHTS=texk LIST-MYRIGHTS";
    if (facts.quotaSet) text += " QUOTASET";
    const { messageLimit, saveLimit } = facts;
    if (messageLimit > 0) text += ` MESSAGELIMIT=${messageLimit}`;
    // What MESSAGELIMIT says already is not said again (RFC 9738 3).
    if (saveLimit > 0 && (messageLimit === 0 || saveLimit < messageLimit)) text += ` SAVELIMIT=${saveLimit}`;
    if (facts.hidden.size === 0) return text;
    return text.split(" ").filter((name) => !isHidden(facts.hidden, name)).join(" ");
  }
  if (facts.startTlsAvailable) text += " STARTTLS";
  if (facts.loginDisabled) return text + " LOGINDISABLED";
  for (const mechanism of facts.mechanisms) text += ` AUTH=${mechanism}`;
  return text;
}

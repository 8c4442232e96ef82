/** From each command to the handler that carries it out. */
import type { Command } from "../../protocols/imap/command.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { deleteAcl, getAcl, listRights, myRights, setAcl } from "./acl.ts";
import { type ImapContext, ok, selectedOf } from "./context.ts";
import { copyOrMove } from "./copy_move.ts";
import { fetch } from "./fetch.ts";
import { create, list, remove, rename, status, subscribe } from "./mailbox.ts";
import { getMetadata, setMetadata } from "./metadata.ts";
import { multiSearch } from "./multi_search.ts";
import { notify } from "./notify.ts";
import { getQuota, getQuotaRoot, setQuota } from "./quota.ts";
import { search } from "./search.ts";
import { close, select } from "./select.ts";
import { sort } from "./sort.ts";
import { threads } from "./thread.ts";
import { expunge, storeFlags } from "./store.ts";
import { uidBatches } from "./uid_batches.ts";

export function runCommand(context: ImapContext, command: Command): Promise<Reply> | Reply {
  switch (command.name) {
    case "NOOP":
      return ok("Noop completed");
    case "CHECK":
      return ok("Check completed");
    case "SELECT":
    case "EXAMINE":
      return select(context, command);
    case "CLOSE":
      return close(context, true);
    case "UNSELECT":
      return close(context, false);
    case "GETMETADATA":
      return getMetadata(context, command);
    case "SETMETADATA":
      return setMetadata(context, command);
    case "GETACL":
      return getAcl(context, command);
    case "MYRIGHTS":
      return myRights(context, command);
    case "LISTRIGHTS":
      return listRights(context, command);
    case "SETACL":
      return setAcl(context, command);
    case "DELETEACL":
      return deleteAcl(context, command);
    case "GETQUOTA":
      return getQuota(context, command);
    case "GETQUOTAROOT":
      return getQuotaRoot(context, command);
    case "SETQUOTA":
      return setQuota(context, command);
    case "CREATE":
      return create(context, command);
    case "DELETE":
      return remove(context, { mailbox: command.mailbox });
    case "RENAME":
      return rename(context, command);
    case "SUBSCRIBE":
    case "UNSUBSCRIBE":
      return subscribe(context, { name: command.name, mailbox: command.mailbox });
    case "LIST":
    case "LSUB":
      return list(context, command);
    case "STATUS":
      return status(context, command);
    case "UIDBATCHES":
      return uidBatches(context, command);
    case "EXPUNGE":
      return expunge(context, command);
    case "SEARCH":
      return search(context, command);
    case "NOTIFY":
      return notify(context, command);
    case "ESEARCH":
      return multiSearch(context, command);
    case "CANCELUPDATE":
      for (const tag of command.tags) selectedOf(context).searches.delete(tag);
      return ok("No further updates");
    case "SORT":
      return sort(context, command);
    case "THREAD":
      return threads(context, command);
    case "FETCH":
      return fetch(context, command);
    case "STORE":
      return storeFlags(context, command);
    case "COPY":
    case "MOVE":
      return copyOrMove(context, command);
    case "UNAUTHENTICATE":
      throw new Error("UNAUTHENTICATE is the connection's own");
    case "CAPABILITY":
    case "LOGOUT":
    case "COMPRESS":
    case "STARTTLS":
    case "NAMESPACE":
    case "COMPARATOR":
    case "IDLE":
    case "LOGIN":
    case "AUTHENTICATE":
    case "ENABLE":
    case "ID":
      throw new Error(`${command.name} is answered by the session itself`);
    default:
      return command satisfies never;
  }
}

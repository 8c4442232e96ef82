/** Groups and their members. */
import type { WriteOp, WriteResult } from "../ops.ts";
import { refuseTaken } from "./addresses.ts";
import { dropIdentifier } from "./acl.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

/** Members of one group. */
const MAX_MEMBERS = 100_000;

export function putGroup(context: OperationContext, { group }: Op<"put-group">): WriteResult {
  const { address, displayName, posting, owners } = group;
  const taken = refuseTaken(context, address, "groups");
  if (taken !== null) return taken;
  context.sql(
    "INSERT INTO groups (address, domain, display_name, posting, owners, members, created_at) VALUES (?, ?, ?, ?, ?, 0, ?) " +
      "ON CONFLICT (address) DO UPDATE SET display_name = excluded.display_name, posting = excluded.posting, " +
      "owners = excluded.owners",
  ).run(
    address,
    address.slice(address.lastIndexOf("@") + 1),
    displayName,
    posting,
    owners.join("\n"),
    context.clock(),
  );
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function removeGroup(context: OperationContext, { address }: Op<"remove-group">): WriteResult {
  if (context.sql("DELETE FROM groups WHERE address = ?").run(address).changes === 0) {
    return refuse("no-such-group", address);
  }
  context.sql("DELETE FROM group_members WHERE group_address = ?").run(address);
  dropIdentifier(context, address);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function changeMembers(context: OperationContext, op: Op<"change-members">): WriteResult {
  const [members] = context.rows("SELECT members FROM groups WHERE address = ?").get(op.group) ?? [];
  if (typeof members !== "number") return refuse("no-such-group", op.group);
  let count = members;
  for (const member of op.remove) {
    count -= context.sql("DELETE FROM group_members WHERE group_address = ? AND member = ?")
      .run(op.group, member).changes;
  }
  for (const member of op.add) {
    count += context.sql("INSERT OR IGNORE INTO group_members (group_address, member) VALUES (?, ?)")
      .run(op.group, member).changes;
  }
  if (count > MAX_MEMBERS) return refuse("limit", `a group has at most ${MAX_MEMBERS} members`);
  context.sql("UPDATE groups SET members = ? WHERE address = ?").run(count, op.group);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

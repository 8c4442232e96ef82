/** Filter scripts: stored, activated, renamed, removed; at most one of an owner is active (RFC 5804 1.3). */
import type { WriteOp, WriteResult } from "../ops.ts";
import { MAX_SCRIPTS, MAX_SCRIPTS_OCTETS } from "../scripts.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

const ONE = "scope = ? AND owner = ? AND name = ?";

export function putScript(context: OperationContext, op: Op<"put-script">): WriteResult {
  const { scope, owner, name, content } = op;
  const octets = new TextEncoder().encode(content).length;
  context.sql(
    "INSERT INTO sieve_scripts (scope, owner, name, content, octets, active, updated_at) " +
      "VALUES (?, ?, ?, ?, ?, 0, ?) ON CONFLICT (scope, owner, name) DO UPDATE SET content = excluded.content, " +
      "octets = excluded.octets, updated_at = excluded.updated_at",
  ).run(scope, owner, name, content, octets, context.clock());
  const [count, sum] = context.rows(
    "SELECT count(*), sum(octets) FROM sieve_scripts WHERE scope = ? AND owner = ?",
  ).get(scope, owner) as [number, number];
  if (count > MAX_SCRIPTS) return refuse("limit", `at most ${MAX_SCRIPTS} scripts`);
  if (sum > MAX_SCRIPTS_OCTETS) {
    return refuse("over-quota", `at most ${MAX_SCRIPTS_OCTETS} octets of scripts`);
  }
  return changed(context);
}

export function activateScript(context: OperationContext, op: Op<"activate-script">): WriteResult {
  const { scope, owner, name } = op;
  context.sql("UPDATE sieve_scripts SET active = 0 WHERE scope = ? AND owner = ? AND active = 1")
    .run(scope, owner);
  if (name !== null) {
    const { changes } = context.sql(`UPDATE sieve_scripts SET active = 1 WHERE ${ONE}`).run(
      scope,
      owner,
      name,
    );
    if (changes === 0) return refuse("no-such-script", name);
  }
  return changed(context);
}

export function renameScript(context: OperationContext, op: Op<"rename-script">): WriteResult {
  const { scope, owner, from, to } = op;
  if (context.rows(`SELECT 1 FROM sieve_scripts WHERE ${ONE}`).get(scope, owner, to) !== undefined) {
    return refuse("already-exists", to);
  }
  const { changes } = context.sql(`UPDATE sieve_scripts SET name = ? WHERE ${ONE}`).run(
    to,
    scope,
    owner,
    from,
  );
  return changes === 0 ? refuse("no-such-script", from) : changed(context);
}

/** The active one stays (RFC 5804 2.10). */
export function removeScript(context: OperationContext, op: Op<"remove-script">): WriteResult {
  const { scope, owner, name } = op;
  const [active] = context.rows(`SELECT active FROM sieve_scripts WHERE ${ONE}`).get(scope, owner, name) ??
    [];
  if (active === undefined) return refuse("no-such-script", name);
  if (active === 1) return refuse("not-permitted", `${name} is active`);
  context.sql(`DELETE FROM sieve_scripts WHERE ${ONE}`).run(scope, owner, name);
  return changed(context);
}

function changed(context: OperationContext): WriteResult {
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

/**
 * The inside of the Worker that runs the operator's policy file: no permissions, and nothing of the server's but facts.
 *
 * The file's default export is called for each question and returns a verdict (filter/outside.ts), or nothing. What the
 * runtime lets any Worker do is left to it: a signal to its own process. It is the operator's file.
 */
interface Scope {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}
const scope = globalThis as unknown as Scope;
let policy: ((facts: unknown) => unknown) | null = null;
let broken = "the policy file is not loaded";
/** Questions wait for it. */
let loading: Promise<void> = Promise.resolve();

scope.addEventListener("message", ({ data }) => {
  if (data.kind === "load") {
    loading = import(data.source).then(({ default: exported }) => {
      if (typeof exported !== "function") throw new Error("its default export is no function");
      policy = exported;
    }).catch((error) => {
      broken = String(error);
    }).finally(() => scope.postMessage({ kind: "loaded", fault: policy === null ? broken : null }));
    return;
  }
  const { id, facts } = data;
  loading.then(() => {
    if (policy === null) throw new Error(broken);
    return policy(facts);
  }).then(
    (verdict) => scope.postMessage({ id, verdict: verdict ?? { action: "continue" } }),
    (error) => scope.postMessage({ id, fault: String(error) }),
  );
});

/**
 * The inside of the Worker that runs the operator's policy file: no permissions, and nothing of the server's but facts.
 *
 * The file's default export is called for each question and returns a verdict (filter/outside.ts), or nothing. Answers are
 * JSON, ready for the line they go out on (process/policy.ts); what the file says by `console` goes to standard error.
 */
interface Scope {
  postMessage(line: string): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}
const scope = globalThis as unknown as Scope;
let policy: ((facts: unknown) => unknown) | null = null;
let broken = "the policy file is not loaded";
/** Questions wait for it. */
let loading: Promise<void> = Promise.resolve();

for (const name of ["log", "info", "debug", "dir", "table"] as const) console[name] = console.error;

scope.addEventListener("message", ({ data }) => {
  if (data.load !== undefined) {
    loading = import(data.load).then(({ default: exported }) => {
      if (typeof exported !== "function") throw new Error("its default export is no function");
      policy = exported;
    }).catch((error) => {
      broken = String(error);
    }).finally(() => say({ loaded: true, ...(policy === null && { fault: broken }) }));
    return;
  }
  const { id, facts } = data;
  loading.then(() => {
    if (policy === null) throw new Error(broken);
    return policy(facts);
  }).then((verdict) => say({ id, verdict: verdict ?? { action: "continue" } }))
    .catch((error) => say({ id, fault: String(error) }));
});

/** Throws on what JSON cannot say. */
function say(answer: unknown): void {
  scope.postMessage(JSON.stringify(answer));
}

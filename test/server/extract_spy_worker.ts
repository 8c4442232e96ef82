/** Takes for the text of any file what this Worker can reach, one word each; "nothing" is as it should be. */
import { serveExtraction } from "../../server/extract_side.ts";

const WAYS: Readonly<Record<string, () => unknown>> = {
  read: () => Deno.readTextFileSync("/etc/passwd"),
  "node-read": async () => (await import("node:fs")).readFileSync("/etc/passwd"),
  write: () => Deno.makeTempFileSync(),
  connect: () => Deno.connect({ hostname: "127.0.0.1", port: 65000 }),
  fetch: () => fetch("http://127.0.0.1:65000/"),
  listen: () => Deno.listen({ port: 0 }).close(),
  env: () => Deno.env.get("HOME"),
  "node-env": async () => {
    if ((await import("node:process")).default.env.HOME === undefined) throw new Error("denied");
  },
  run: () => new Deno.Command("/bin/true").outputSync(),
  kill: () => Deno.kill(1, "SIGCONT"),
  sys: () => Deno.hostname(),
  ffi: () => Deno.dlopen("libc.so.6", {}),
  import: () => import(String(new URL("../../server/frames.ts", import.meta.url))),
  more: async () => {
    if ((await Deno.permissions.request({ name: "read" })).state !== "granted") throw new Error("denied");
  },
};

serveExtraction(async () => {
  const worked: string[] = [];
  for (const [name, way] of Object.entries(WAYS)) {
    try {
      await way();
      worked.push(name);
    } catch (error) {
      // Refused, and not for want of a file or a peer.
      if (!/NotCapable|denied|Requires \w+ access/.test(String(error))) worked.push(`${name} (${error})`);
    }
  }
  return { outcome: "extracted", text: worked.join(", ") || "nothing", fault: "" };
});

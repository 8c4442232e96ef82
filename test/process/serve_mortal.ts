/** `veredus serve` with front ends that can be killed: the command under test, other Worker entries. */
import { administer } from "../../admin/serve.ts";
import { serve } from "../../server/process/serve.ts";

const [, , config] = Deno.args; // serve --config FILE
Deno.exit(
  await serve({ config: config! }, {
    administer: async (server, options) => await administer(server, { version: "test", ...options }),
    entries: { frontend: new URL("./mortal_frontend.ts", import.meta.url) },
  }),
);

/** A program for listener_test.ts: holds what it accepts; without a file in use, so that it lives without descriptors. */
import { defaultListener } from "../../server/config/defaults.ts";
import { DEFAULT_SHARED_LIMITS, SharedLimits } from "../../server/shared_limits.ts";
import { Listener } from "../../server/listener.ts";

// As every server does; the runtime ends without a descriptor for its first signal.
Deno.addSignalListener("SIGUSR2", () => {});
const port = Number(Deno.args[0]);
const buffer = SharedLimits.buffer(1);
const listener = new Listener({ ...defaultListener("smtp"), address: "127.0.0.1", port }, {
  limits: new SharedLimits(buffer, { column: 0, epoch: Date.now(), options: DEFAULT_SHARED_LIMITS }),
  tls: null,
  certificate: null,
  isProxy: null,
  hostname: "mx.example.test",
  serve: async (transport) => {
    await transport.write(new TextEncoder().encode("220 served\r\n"));
    while (await transport.read(new Uint8Array(100)) !== null) { /* held until the client goes */ }
  },
});
listener.open();
console.log("listening");

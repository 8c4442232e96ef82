/** A front end that dies, by an error nobody catches, when the test says so on a broadcast channel. */
import "../../server/threads/frontend_worker.ts";

const channel = new BroadcastChannel("veredus-test-front-end-death");
channel.onmessage = () => {
  channel.close();
  throw new Error("told to die");
};

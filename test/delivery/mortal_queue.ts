/** A queue thread that dies, by an error nobody catches, when the test says so on a broadcast channel. */
import "../../server/threads/queue_worker.ts";

const channel = new BroadcastChannel("veredus-test-queue-death");
channel.onmessage = () => {
  channel.close();
  throw new Error("told to die");
};

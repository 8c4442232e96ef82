/** The indexer's thread, which answers on a broadcast channel by what policy the system schedules it. */
import "../../server/threads/indexer_worker.ts";
import { CHANNEL, ordinaryPriority, policyOfThread } from "./scheduling.ts";

ordinaryPriority(); // whatever the test itself runs by: what the part sets when it opens is what is told
const channel = new BroadcastChannel(CHANNEL);
channel.onmessage = ({ data }) => {
  if (data === "policy?") channel.postMessage(policyOfThread());
};

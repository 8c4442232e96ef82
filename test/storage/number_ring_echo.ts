/** The other thread of number_ring_test.ts: sends every frame back, and waits where there is no room. */
import { RingReceiver, RingSender } from "../../storage/number_ring.ts";

interface Scope {
  onmessage: (event: MessageEvent<readonly [SharedArrayBuffer, SharedArrayBuffer]>) => void;
}

(globalThis as unknown as Scope).onmessage = ({ data: [there, back] }) => {
  const sender = new RingSender(back);
  new RingReceiver(there, (frame) => {
    while (!sender.send(frame)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  });
};

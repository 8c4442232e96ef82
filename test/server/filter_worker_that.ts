/** A filter's thread that dies or hangs in the middle of its first question; its address says which. */
const { hash } = new URL(import.meta.url);

addEventListener("message", ({ data }: MessageEvent<{ readonly kind: string }>) => {
  if (data.kind !== "ask") return;
  if (hash === "#dies") throw new Error("it died in the middle");
  for (;;); // until it is ended
});

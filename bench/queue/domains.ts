/** Where the destinations of the queue's figures are. */

/** On loopback, one for each destination: what counts is how many there are. */
export function addressOf(domain: number): string {
  return `127.0.2.${domain + 1}`;
}

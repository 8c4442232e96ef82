/**
 * Work in steps that waits only where something is not there yet.
 *
 * An async function takes a turn of the event loop for each await, also where the value is known. Steps are a generator in
 * its place: `yield* when(value)` goes on at once with a value and waits for a promise. {@linkcode run} gives the result
 * itself where nothing was waited for, else a promise of it. Hot: bench/micro/frontend_bench.ts.
 */

/** Ends with a `T`; what it yields is waited for. */
export type Steps<T> = Generator<Promise<unknown>, T, unknown>;

/** The value, or what the promise brings; throws what it rejects with. */
export function* when<T>(value: T | Promise<T>): Steps<T> {
  return value instanceof Promise ? (yield value) as T : value;
}

/** What the steps throw is thrown, or rejects once they have waited. */
export function run<T>(steps: Steps<T>): T | Promise<T> {
  const step = steps.next();
  return step.done === true ? step.value : runLater(steps, step.value);
}

async function runLater<T>(steps: Steps<T>, first: Promise<unknown>): Promise<T> {
  for (let pending = first;;) {
    let step: IteratorResult<Promise<unknown>, T>;
    try {
      const value = await pending;
      step = steps.next(value);
    } catch (error) {
      step = steps.throw(error); // and what they do not take, their own faults as well, rejects
    }
    if (step.done === true) return step.value;
    pending = step.value;
  }
}

/**
 * Metrics of this thread: counters, gauges and histograms in one prom-client registry.
 *
 * Every thread has its own copy of this module; main gathers `metricsAsJson()` of all of them and adds them up
 * for `/metrics`. Names begin with `veredus_`, durations are in seconds, sizes in octets. A label takes values
 * from a closed set (verb, listener, reply class), never a value of the peer's choosing.
 */
import type * as Prom from "prom-client";
import aggregatorRegistry from "prom-client/lib/cluster.js";
import counterClass from "prom-client/lib/counter.js";
import gaugeClass from "prom-client/lib/gauge.js";
import histogramClass from "prom-client/lib/histogram.js";
import registryClass from "prom-client/lib/registry.js";

// By parts: the package as a whole brings in summaries, default metrics and OpenTelemetry, which doubles its time to
// load, and every thread loads it.
const AggregatorRegistry = aggregatorRegistry as unknown as typeof Prom.AggregatorRegistry;
const Counter = counterClass as unknown as typeof Prom.Counter;
const Gauge = gaugeClass as unknown as typeof Prom.Gauge;
const Histogram = histogramClass as unknown as typeof Prom.Histogram;
const Registry = registryClass as unknown as typeof Prom.Registry;

export const registry: Prom.Registry = new Registry();

/** What a thread sends to main; opaque outside this module. */
export type ThreadMetrics = Prom.MetricObjectWithValues<Prom.MetricValue<string>>[];

export function counter<L extends string>(name: string, help: string, labelNames: L[] = []): Prom.Counter<L> {
  const tallies: Tally[] = [];
  const made: Prom.Counter<L> = new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      for (const tally of tallies) tally.settle();
    },
  });
  // Counting is an addition; what was counted reaches the registry when somebody looks.
  const add = made.inc.bind(made) as (values: Prom.LabelValues<L>, value: number) => void;
  const known = new Map<string, Tally>();
  const [only] = labelNames.length === 1 ? labelNames : [];
  made.labels = ((values: Prom.LabelValues<L>) => {
    let key = "";
    if (only !== undefined) key = String(values[only]);
    else for (const name of labelNames) key += `${values[name]}\n`;
    let tally = known.get(key);
    if (tally === undefined) {
      known.set(key, tally = new Tally((value) => add(values, value)));
      tallies.push(tally);
    }
    return tally;
  }) as typeof made.labels;
  made.inc = ((labels: Prom.LabelValues<L> | number = {} as Prom.LabelValues<L>, value?: number) => {
    if (typeof labels === "number") made.labels({} as Prom.LabelValues<L>).inc(labels);
    else made.labels(labels).inc(value);
  }) as typeof made.inc;
  return made;
}

/** What was counted of one label set since somebody looked. */
class Tally implements Prom.Counter.Internal {
  readonly #add: (value: number) => void;
  #value: number;

  constructor(add: (value: number) => void) {
    this.#add = add;
    this.#value = 0;
  }

  inc(value = 1): void {
    this.#value += value;
  }

  settle(): void {
    if (this.#value > 0) this.#add(this.#value);
    this.#value = 0;
  }
}

/** A gauge; `collect` runs at each scrape and sets it. */
export function gauge<L extends string>(
  name: string,
  help: string,
  options: { labelNames?: L[]; collect?: (gauge: Prom.Gauge<L>) => void } = {},
): Prom.Gauge<L> {
  const { labelNames = [], collect } = options;
  return new Gauge<L>({
    name,
    help,
    labelNames,
    registers: [registry],
    ...(collect && {
      collect() {
        collect(this);
      },
    }),
  });
}

/** What is there now, counted up and down; see {@linkcode level}. */
export class Level {
  value = 0;

  inc(): void {
    this.value++;
  }

  dec(): void {
    this.value--;
  }
}

/** A gauge that is the sum of levels: one is made, once, for each label set by whoever counts. */
export function level<L extends string = never>(
  name: string,
  help: string,
  labelNames: L[] = [],
): (labels: Prom.LabelValues<L>) => Level {
  const levels: { readonly labels: Prom.LabelValues<L>; readonly level: Level }[] = [];
  gauge(name, help, {
    labelNames,
    collect: (gauge) => {
      gauge.reset();
      for (const { labels, level } of levels) gauge.inc(labels, level.value);
    },
  });
  return (labels) => {
    const level = new Level();
    levels.push({ labels, level });
    return level;
  };
}

export function histogram<L extends string>(
  name: string,
  help: string,
  options: { labelNames?: L[]; buckets: number[] },
): Prom.Histogram<L> {
  const waiting = new Values((value) => take(value));
  const made: Prom.Histogram<L> = new Histogram({
    name,
    help,
    labelNames: options.labelNames ?? [],
    buckets: options.buckets,
    registers: [registry],
    collect: () => waiting.settle(),
  });
  const take = made.observe.bind(made) as (labels: Prom.LabelValues<L> | number, value?: number) => void;
  made.observe = ((labels: Prom.LabelValues<L> | number, value?: number) => {
    if (typeof labels === "number") waiting.add(labels);
    else take(labels, value);
  }) as typeof made.observe;
  return made;
}

/** Values on their way into a histogram: many together cost it a tenth of one at a time between other work. */
class Values {
  readonly #take: (value: number) => void;
  readonly #values: Float64Array;
  #count: number;

  constructor(take: (value: number) => void) {
    this.#take = take;
    this.#values = new Float64Array(256);
    this.#count = 0;
  }

  add(value: number): void {
    this.#values[this.#count++] = value;
    if (this.#count === this.#values.length) this.settle();
  }

  settle(): void {
    for (let at = 0; at < this.#count; at++) this.#take(this.#values[at]!);
    this.#count = 0;
  }
}

/** Bucket bounds in seconds for waits on disk and on peers. */
export const SECONDS_BUCKETS = [
  0.0005,
  0.001,
  0.002,
  0.005,
  0.01,
  0.02,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  10,
  60,
];

/** This thread's values. */
export async function metricsAsJson(): Promise<ThreadMetrics> {
  return await registry.getMetricsAsJSON() as ThreadMetrics;
}

/** The Prometheus text exposition of all threads together. */
export async function exposition(threads: ThreadMetrics[]): Promise<string> {
  return await AggregatorRegistry.aggregate(threads).metrics();
}

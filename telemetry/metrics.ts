/**
 * Metrics of this thread: counters, gauges and histograms in one prom-client registry.
 *
 * Every thread has its own copy of this module; main gathers `metricsAsJson()` of all of them and adds them up
 * for `/metrics`. Names begin with `veredus_`, durations are in seconds, sizes in octets. A label takes values
 * from a closed set (verb, listener, reply class), never a value of the peer's choosing.
 */
import {
  AggregatorRegistry,
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  Registry,
} from "prom-client";
import type { MetricValue } from "prom-client";

export const registry: Registry = new Registry();

/** What a thread sends to main; opaque outside this module. */
export type ThreadMetrics = MetricObjectWithValues<MetricValue<string>>[];

export function counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
  return new Counter({ name, help, labelNames, registers: [registry] });
}

/** A gauge; `collect` runs at each scrape and sets it. */
export function gauge<L extends string>(
  name: string,
  help: string,
  options: { labelNames?: L[]; collect?: (gauge: Gauge<L>) => void } = {},
): Gauge<L> {
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

export function histogram<L extends string>(
  name: string,
  help: string,
  options: { labelNames?: L[]; buckets: number[] },
): Histogram<L> {
  return new Histogram({
    name,
    help,
    labelNames: options.labelNames ?? [],
    buckets: options.buckets,
    registers: [registry],
  });
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

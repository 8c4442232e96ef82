/**
 * Reads a configuration file: YAML, schema, and what only the whole can tell.
 *
 * Throws {@linkcode ConfigError} with every fault it found. Paths in the file are relative to the file.
 */
import { dirname, resolve } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import type { z } from "zod";
import { CertificateError, keyDigest, loadCertificate } from "../certificate.ts";
import type { Config } from "./config.ts";
import { ConfigError, type ConfigFault, type ConfigPath, faultsOf, Source } from "./faults.ts";
import { configSchema } from "./schema.ts";
import { childOf, keysOf } from "./walk.ts";

export function loadConfig(file: string): Config {
  return readConfig(file).config;
}

/** The configuration, and what the file holds for it. */
export function readConfig(file: string): { readonly config: Config; readonly written: unknown } {
  let text: string;
  try {
    text = Deno.readTextFileSync(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) {
      throw error;
    }
    const message = error instanceof Deno.errors.NotFound ? "no such file" : "not readable by this user";
    throw new ConfigError([{ file, line: 1, column: 1, key: "", value: null, message }]);
  }
  return parse(text, file);
}

/** `file` names the text in faults and is what its paths are relative to. */
export function parseConfig(text: string, file: string): Config {
  return parse(text, file).config;
}

function parse(text: string, file: string): ReturnType<typeof readConfig> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: "1.2" });
  const source = new Source(file, { document, lines });
  if (document.errors.length > 0) {
    throw new ConfigError(document.errors.map((error): ConfigFault => {
      const { line, col } = lines.linePos(error.pos[0]);
      return { file, line, column: col, key: "", value: null, message: error.message };
    }));
  }
  const written: unknown = document.toJS() ?? {};
  const parsed = configSchema.safeParse(written);
  if (!parsed.success) {
    throw new ConfigError(faultsOf(parsed.error.issues, {
      source,
      knownKeys: (path) => keysOf(schemaAt(path)),
      present: (path) => document.getIn(path, true) !== undefined,
    }));
  }
  const config = withAbsolutePaths(parsed.data, dirname(resolve(file)));
  const faults = crossCheck(config, source);
  if (faults.length > 0) throw new ConfigError(faults);
  return { config, written };
}

/** What `config check` looks at besides: files the configuration names. */
export function checkFiles(config: Config): string[] {
  const problems: string[] = [];
  for (const { certificate, key, nextKey } of config.certificates) {
    try {
      const loaded = loadCertificate(certificate, key);
      if (nextKey !== "") keyDigest(nextKey);
      if (loaded.notAfter < Date.now()) problems.push(`${certificate}: has ended`);
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
      problems.push(error.message);
    }
  }
  for (const { passwordFile } of config.relay) {
    if (passwordFile === "") continue;
    try {
      Deno.readTextFileSync(passwordFile);
    } catch (error) {
      problems.push(`${passwordFile}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return problems;
}

function schemaAt(path: ConfigPath): z.ZodType {
  let at: z.ZodType = configSchema;
  for (const part of path) {
    const next = childOf(at, part);
    if (next === null) return at;
    at = next;
  }
  return at;
}

function withAbsolutePaths(config: Config, base: string): Config {
  return {
    ...config,
    data: resolve(base, config.data),
    certificates: config.certificates.map(({ certificate, key, nextKey }) => ({
      certificate: resolve(base, certificate),
      key: resolve(base, key),
      nextKey: nextKey === "" ? "" : resolve(base, nextKey),
    })),
    relay: config.relay.map((rule) => ({
      ...rule,
      passwordFile: rule.passwordFile === "" ? "" : resolve(base, rule.passwordFile),
    })),
  };
}

function crossCheck(config: Config, source: Source): ConfigFault[] {
  const faults: ConfigFault[] = [];
  config.listeners.forEach((listener, at) => {
    const clash = config.listeners.findIndex((other) =>
      other.port === listener.port && listener.port !== 0 &&
      (other.address === listener.address || other.address === "*" || listener.address === "*")
    );
    if (clash < at) {
      faults.push(source.fault(["listeners", at], `port ${listener.port} is taken by listeners[${clash}]`));
    }
  });
  config.relay.forEach((rule, at) => {
    if (rule.username !== "" && rule.passwordFile === "") {
      faults.push(source.fault(["relay", at], "username needs a password_file"));
    }
    if (rule.username !== "" && (rule.tls === "none" || rule.tls === "opportunistic")) {
      faults.push(source.fault(["relay", at], "a password is only sent with tls: required or implicit"));
    }
  });
  if (config.queue.maxRetryMs < config.queue.firstRetryMs) {
    faults.push(source.fault(["queue", "max_retry"], "must not be shorter than first_retry"));
  }
  return faults;
}

// The embedded flag file as a repository of unleash-client. It is watched; a new content counts only when all of
// it is valid, until then the last good one stays in force.
import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Logger } from 'pino';
import type { UnleashConfig } from 'unleash-client';
import { FlagFileError, parseFlagFile } from '../capability/flag-file.ts';
import {
  type ClientFeatures,
  type Feature,
  FeaturesError,
  parseClientFeatures,
  type SharedFlags,
} from './client-features.ts';

type Repository = NonNullable<UnleashConfig['repository']>;

/** Renames and network file systems escape watchers; this finds what they missed. */
const pollMs = 2_000;
const bytesMax = 1024 * 1024;

/** Why a strategy, valid as Unleash's, cannot be evaluated here. */
function strategyFault({
  name,
  parameters,
  segments,
}: NonNullable<Feature['strategies']>[number]): string | undefined {
  if (name !== 'default' && name !== 'flexibleRollout' && name !== 'userWithId')
    return `strategy ${JSON.stringify(name)} is not known; there are default, flexibleRollout and userWithId`;
  if (segments && segments.length > 0) return 'segments are known to an Unleash server only';
  const stickiness = parameters.stickiness ?? 'default';
  if (name === 'flexibleRollout' && stickiness !== 'default' && stickiness !== 'userId')
    return `stickiness ${JSON.stringify(stickiness)} would move a client back and forth; use "userId"`;
  return undefined;
}

/** @throws FlagFileError for what is valid as a file, and cannot be evaluated here */
function parseFeatures(file: unknown): ClientFeatures {
  let flags: ClientFeatures;
  try {
    flags = parseClientFeatures(file);
  } catch (error) {
    if (!(error instanceof FeaturesError)) throw error;
    throw new FlagFileError(error.message, { cause: error });
  }
  for (const { name, strategies } of flags.features.values())
    for (const strategy of strategies ?? []) {
      const fault = strategyFault(strategy);
      if (fault) throw new FlagFileError(`feature "${name}": ${fault}`);
    }
  return flags;
}

/** As an Unleash says it to its clients. */
function share(features: readonly unknown[]): SharedFlags {
  const body = JSON.stringify({ version: 2, features, segments: [], query: {} });
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` };
}

export class FlagFileRepository extends EventEmitter implements Repository {
  loadedAt: Date | undefined;
  /** Why the newest content is not in force. */
  fault: string | undefined;
  flags: ClientFeatures = { features: new Map(), segments: new Map() };
  shared: SharedFlags | undefined;
  private readonly path: string;
  private readonly log: Logger;
  private text: string | undefined;
  private watcher: FSWatcher | undefined;
  private timer: NodeJS.Timeout | undefined;
  private settle: NodeJS.Timeout | undefined;

  constructor(path: string, log: Logger) {
    super();
    this.path = path;
    this.log = log;
  }

  /** @throws FlagFileError */
  load(): void {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (cause) {
      throw new FlagFileError(`cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      });
    }
    if (text !== this.text) {
      if (text.length > bytesMax) throw new FlagFileError(`is larger than ${bytesMax} bytes`);
      const file = parseFlagFile(text);
      this.flags = parseFeatures(file);
      this.shared = share(file.features);
      this.text = text;
      this.loadedAt = new Date();
      this.emit('changed', this.getToggles());
    }
    this.fault = undefined;
  }

  async start(): Promise<void> {
    this.emit('ready');
    try {
      // The folder, not the file: a file that is replaced by a rename is another file.
      this.watcher = watch(dirname(this.path), (_event, name) => {
        if (name !== null && name !== basename(this.path)) return;
        // A plain write is two events, the first with the file empty.
        clearTimeout(this.settle);
        this.settle = setTimeout(() => this.reload(), 20);
      });
      this.watcher.on('error', (error) => this.log.warn({ err: error }, 'the flag file is polled only'));
    } catch (error) {
      this.log.warn({ err: error }, 'the flag file is polled only');
    }
    this.timer = setInterval(() => this.reload(), pollMs);
  }

  private reload(): void {
    const [faultBefore, loadedBefore] = [this.fault, this.loadedAt];
    try {
      this.load();
      if (faultBefore !== undefined) this.log.info({ file: this.path }, 'the flag file is valid again');
      else if (this.loadedAt !== loadedBefore) this.log.info({ file: this.path }, 'flags loaded');
    } catch (error) {
      if (!(error instanceof FlagFileError)) throw error;
      this.fault = error.message;
      if (this.fault !== faultBefore)
        this.log.error(
          { file: this.path, fault: this.fault },
          'the flag file is not valid; the last good flags stay in force',
        );
    }
  }

  stop(): void {
    this.watcher?.close();
    clearInterval(this.timer);
    clearTimeout(this.settle);
    this.removeAllListeners();
  }

  getToggle(name: string): Feature | undefined {
    return this.flags.features.get(name);
  }

  getToggles(): Feature[] {
    return [...this.flags.features.values()];
  }

  /** The file has none. */
  getSegment(): undefined {
    return undefined;
  }

  getTogglesWithSegmentData(): ReturnType<Repository['getTogglesWithSegmentData']> {
    return this.getToggles().map(({ strategies, ...feature }) => ({
      ...feature,
      strategies: (strategies ?? []).map(({ segments: _none, ...strategy }) => strategy),
    }));
  }
}

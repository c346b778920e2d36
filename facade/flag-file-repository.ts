// The embedded flag file as a repository of unleash-client. It is watched; a new content counts only when all of
// it is valid, until then the last good one stays in force.
import { EventEmitter } from 'node:events';
import { type FSWatcher, readFileSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Logger } from 'pino';
import type { ClientFeaturesResponse, UnleashConfig } from 'unleash-client';
import { FlagFileError, parseFlagFile } from '../capability/flag-file.ts';

export type Feature = ClientFeaturesResponse['features'][number];
type Repository = NonNullable<UnleashConfig['repository']>;

/** Renames and network file systems escape watchers; this finds what they missed. */
const pollMs = 2_000;
const bytesMax = 1024 * 1024;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Why a strategy, valid as a file goes, cannot be evaluated here. */
function strategyFault(strategy: Readonly<Record<string, unknown>>): string | undefined {
  const { name, parameters, constraints = [], segments = [] } = strategy;
  if (name !== 'default' && name !== 'flexibleRollout' && name !== 'userWithId')
    return `strategy ${JSON.stringify(name)} is not known; there are default, flexibleRollout and userWithId`;
  if (!Array.isArray(segments) || segments.length > 0) return 'segments are known to an Unleash server only';
  if (
    !Array.isArray(constraints) ||
    !constraints.every((one) => isObject(one) && typeof one.operator === 'string')
  )
    return '"constraints" is not a list of constraints';
  const stickiness = (isObject(parameters) ? parameters.stickiness : undefined) ?? 'default';
  if (name === 'flexibleRollout' && stickiness !== 'default' && stickiness !== 'userId')
    return `stickiness ${JSON.stringify(stickiness)} would move a client back and forth; use "userId"`;
  return undefined;
}

/** @throws FlagFileError for what is valid as a file, and cannot be evaluated here */
function isEvaluable(features: unknown): features is Feature[] {
  if (!Array.isArray(features)) return false;
  for (const { name, strategies } of features)
    for (const strategy of strategies) {
      const fault = strategyFault(strategy);
      if (fault) throw new FlagFileError(`feature "${name}": ${fault}`);
    }
  return true;
}

export class FlagFileRepository extends EventEmitter implements Repository {
  loadedAt: Date | undefined;
  /** Why the newest content is not in force. */
  fault: string | undefined;
  private readonly path: string;
  private readonly log: Logger;
  private features = new Map<string, Feature>();
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
      const features: unknown = parseFlagFile(text).features;
      if (!isEvaluable(features)) return;
      this.text = text;
      this.features = new Map(features.map((feature) => [feature.name, feature]));
      this.loadedAt = new Date();
      this.emit('changed', features);
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
    return this.features.get(name);
  }

  getToggles(): Feature[] {
    return [...this.features.values()];
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

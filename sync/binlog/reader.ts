// The change stream of one server: connects, reads, and connects again from where it was.
import type { ConnectionOptions } from 'mysql2';
import { type Position, printPosition } from '../position.ts';
import { pause } from '../unless-aborted.ts';
import type { Change } from './change.ts';
import { BinlogError } from './errors.ts';
import type { Dump } from './event-queue.ts';
import { readChanges } from './events.ts';
import { connectFailure, dumpFailure, type Failure } from './failures.ts';
import { askCatalog, openSession, type Session } from './session.ts';
import { Tables } from './tables.ts';
import { Transactions } from './transactions.ts';

export type BinlogOptions = {
  /** mysql2's; needs REPLICATION SLAVE and REPLICATION CLIENT (MariaDB: BINLOG MONITOR). */
  readonly connection: ConnectionOptions;
  /** A number that no other replica, and no other reader, of this server has: the server drops the older one. */
  readonly serverId: number;
  readonly from: Position | 'now';
  /** Which server it must be, as a reader before this one was told; any when left out. */
  readonly server?: string | undefined;
  /** Whose rows are decoded; all when left out. Statements are given whatever they concern. */
  readonly tables?: (schema: string, table: string) => boolean;
  /**
   * Whether transactions are asked for the trace that they belong to (statement-trace.ts). The server then sends the texts of
   * statements, too, where it has logged them.
   */
  readonly traces?: boolean;
  /** A heartbeat after so long without anything else. */
  readonly heartbeatMs?: number;
  /** Bytes of events received and not yet decoded, at which the socket is paused. */
  readonly queueBytesMax?: number;
  /** Rows of prepared XA transactions beyond this go to a file. */
  readonly heldBytesMax?: number;
  readonly connectMsMax?: number;
  /**
   * A connection that gives not a byte for so long, while it is not paused here, counts as lost. At least a few
   * heartbeats, and what the server needs to read its largest event from disk.
   */
  readonly silentMsMax?: number;
  /** Waiting times between attempts grow from the first to this. */
  readonly backoffMsMax?: number;
  /** Gives up, with `unreachable`, when no attempt succeeded for so long; never when left out. */
  readonly giveUpMs?: number;
  /** Told of each connection that was lost, and of each attempt that failed. */
  readonly onReconnect?: (facts: { readonly cause: unknown; readonly from: Position }) => void;
};

export type BinlogReader = {
  /** Where it starts; what `now` came to. */
  readonly from: Position;
  /** Which server it reads, and will read after each reconnection: another one ends it with `source-changed`. */
  readonly server: string;
  /**
   * To be iterated once. Ends after stop(); throws a BinlogError when it cannot go on. The reader holds no
   * more than queueBytesMax and one event, however slowly this is read.
   */
  readonly events: AsyncIterable<Change>;
  /** Whether events have arrived that `events` has not come to yet. */
  hasQueued(): boolean;
  /** Idempotent. */
  stop(): Promise<void>;
  /** Settles, never by a rejection, when the connection is closed and every file is gone. */
  readonly done: Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

const backoffMsMin = 50;

/**
 * MySQL tells replicas apart by their UUID, MariaDB by their number. One made of the number lets MySQL too end
 * what this reader left behind, and lets a second reader with the same number be found out.
 */
const replicaUuid = (serverId: number) =>
  `ba27a900-0000-4000-8000-${serverId.toString(16).padStart(12, '0')}`;

type Settings = Required<Omit<BinlogOptions, 'from' | 'giveUpMs' | 'onReconnect' | 'server' | 'tables'>> &
  Pick<BinlogOptions, 'giveUpMs' | 'onReconnect' | 'tables'> & { readonly replicaUuid: string };

class Stream {
  readonly #settings: Settings;
  readonly #server: string;
  readonly #stopping = new AbortController();
  readonly #finished = Promise.withResolvers<void>();
  #session: Session | undefined;
  #dump: Dump | undefined;
  #position: Position;
  #changes: AsyncGenerator<Change> | undefined;

  constructor(settings: Settings, session: Session, from: Position) {
    this.#settings = settings;
    this.#server = session.server;
    this.#session = session;
    this.#position = from;
  }

  get done(): Promise<void> {
    return this.#finished.promise;
  }

  hasQueued(): boolean {
    return (this.#dump?.queuedBytes ?? 0) > 0;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#dump?.close({ by: 'eof' });
    this.#session?.close();
    // Nobody may be waiting for the next change: what is open is then closed from here.
    await this.#changes?.return(undefined);
    this.#finished.resolve();
  }

  changes(): AsyncGenerator<Change> {
    if (this.#changes) throw new Error('the events of a reader are iterated once');
    this.#changes = this.#run();
    return this.#changes;
  }

  async *#run(): AsyncGenerator<Change> {
    try {
      while (!this.#stopping.signal.aborted) yield* this.#oneConnection();
    } finally {
      this.#session?.close();
      this.#finished.resolve();
    }
  }

  /** Until the connection ends; returns when there is to be another one. */
  async *#oneConnection(): AsyncGenerator<Change> {
    const session = await this.#connect();
    if (!session) return;
    const { heldBytesMax, connection, tables, traces } = this.#settings;
    const transactions = new Transactions({
      from: this.#position,
      dialect: session.dialect,
      collations: session.collations,
      heldBytesMax,
      traces,
      isFile: false,
      tables: new Tables({
        collations: session.collations,
        wants: tables ?? (() => true),
        catalog: (schema, table) => askCatalog(connection, schema, table),
      }),
    });
    let watch: NodeJS.Timeout | undefined;
    try {
      const dump = await session.dump(this.#position);
      this.#dump = dump;
      watch = this.#watch(dump, session);
      for await (const change of readChanges(dump, transactions)) {
        yield change;
        this.#position = transactions.position;
      }
      if (this.#stopping.signal.aborted) return;
      if (transactions.isOpen) yield { kind: 'abandon' };
      this.#judge(dumpFailure(dump.end ?? { by: 'eof' }, this.#position));
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      this.#judge(connectFailure(error, this.#position));
    } finally {
      clearInterval(watch);
      await transactions.close();
      session.close();
      this.#session = undefined;
      this.#dump = undefined;
    }
  }

  /** Throws what is the end of the stream, tells of the rest. */
  #judge(failure: Failure): void {
    if (!failure.retry) throw failure.error;
    this.#settings.onReconnect?.({ cause: failure.cause, from: this.#position });
  }

  /** Bytes, not events: a large event is on its way for long. */
  #watch(dump: Dump, session: Session): NodeJS.Timeout {
    const { heartbeatMs, silentMsMax } = this.#settings;
    let seenBytes = -1;
    let seenAt = performance.now();
    return setInterval(() => {
      const bytes = dump.receivedBytes();
      if (dump.isPaused() || bytes !== seenBytes) {
        seenBytes = bytes;
        seenAt = performance.now();
      } else if (performance.now() - seenAt > silentMsMax) {
        dump.close({
          by: 'connection',
          cause: new Error(`no byte, not even a heartbeat, for ${silentMsMax} ms`),
        });
        session.close();
      }
    }, heartbeatMs);
  }

  /** The session that openBinlog made, or a new one, however many attempts it takes. */
  async #connect(): Promise<Session | undefined> {
    if (this.#session) return this.#session;
    const { backoffMsMax, giveUpMs } = this.#settings;
    const { signal } = this.#stopping;
    const begun = performance.now();
    for (let waitMs = backoffMsMin; !signal.aborted; waitMs = Math.min(waitMs * 2, backoffMsMax)) {
      // Half of it by chance: readers that lost one server come back one after another.
      await pause(waitMs / 2 + (Math.random() * waitMs) / 2, signal);
      if (signal.aborted) return undefined;
      try {
        const session = await openSession(this.#settings);
        this.#session = session;
        checkServer(session, this.#server, this.#position);
        if (signal.aborted) session.close();
        return signal.aborted ? undefined : session;
      } catch (cause) {
        this.#judge(connectFailure(cause, this.#position));
        if (giveUpMs !== undefined && performance.now() - begun > giveUpMs)
          throw new BinlogError(
            'unreachable',
            `no connection to the source for ${giveUpMs} ms`,
            'start the server, and check host, port and network',
            cause,
          );
      }
    }
    return undefined;
  }
}

/** A name or an address may lead to another server from one connection to the next. */
function checkServer({ server }: Session, known: string | undefined, from: Position): void {
  if (known === undefined || server === known) return;
  throw new BinlogError(
    'source-changed',
    `the source is another server: ${server}, where ${known} was read up to ${printPosition(from)}`,
    'see whether it has taken the place of the other for good, and has all that the other had',
  );
}

/**
 * Connects, and finds out where to start; events flow once `events` is iterated.
 * @throws BinlogError when the first connection fails, whatever the reason
 */
export async function openBinlog(options: BinlogOptions): Promise<BinlogReader> {
  const settings: Settings = {
    ...options,
    traces: options.traces ?? false,
    heartbeatMs: options.heartbeatMs ?? 1_000,
    queueBytesMax: options.queueBytesMax ?? 4 * 1024 * 1024,
    heldBytesMax: options.heldBytesMax ?? 8 * 1024 * 1024,
    connectMsMax: options.connectMsMax ?? 10_000,
    silentMsMax: options.silentMsMax ?? Math.max(10_000, 4 * (options.heartbeatMs ?? 1_000)),
    backoffMsMax: options.backoffMsMax ?? 5_000,
    replicaUuid: replicaUuid(options.serverId),
  };
  const asked: Position = options.from === 'now' ? { gtid: undefined, at: undefined } : options.from;
  let session: Session | undefined;
  try {
    session = await openSession(settings);
    checkServer(session, options.server, asked);
    const from = options.from === 'now' ? await session.now() : await session.complete(asked);
    const stream = new Stream(settings, session, from);
    return {
      from,
      server: session.server,
      events: { [Symbol.asyncIterator]: () => stream.changes() },
      hasQueued: () => stream.hasQueued(),
      stop: () => stream.stop(),
      done: stream.done,
      [Symbol.asyncDispose]: () => stream.stop(),
    };
  } catch (cause) {
    session?.close();
    const failure = connectFailure(cause, asked);
    if (!failure.retry) throw failure.error;
    throw new BinlogError(
      'unreachable',
      `no connection to the source: ${cause instanceof Error ? cause.message : String(cause)}`,
      'start the server, and check host, port and network',
      cause,
    );
  }
}

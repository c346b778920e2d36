// What the control store said last about each capability. When it goes away, the last word stays in force; before
// it was ever read, nothing is known, and that means legacy.
import type { Logger } from 'pino';
import type { Standing } from '../capability/phase.ts';
import { within } from './within.ts';

export type ControlStatus = {
  readonly connected: boolean;
  /** ISO 8601; null when it has never been read. */
  readonly lastReadAt: string | null;
  readonly error: string | null;
};

export type ControlView = {
  /** Undefined when it has never been read, or knows no such capability. */
  standing(capability: string): Standing | undefined;
  status(): ControlStatus;
  /** Seconds since it was read; undefined when it never was. */
  ageSeconds(): number | undefined;
  stop(): Promise<void>;
};

export type ControlConnection = {
  read(): Promise<ReadonlyMap<string, Standing>>;
  /** At once, also when the server hangs. */
  close(): void;
};

export type ControlTiming = {
  readonly pollMs: number;
  readonly readMsMax: number;
  readonly retryMsMax: number;
};

const usual: ControlTiming = { pollMs: 250, readMsMax: 2_000, retryMsMax: 5_000 };

/**
 * Reads the standings again and again, over one connection at a time. Returns when the first attempt is over,
 * well or not.
 */
export async function watchControlStore(
  connect: () => Promise<ControlConnection>,
  log: Logger,
  timing: ControlTiming = usual,
): Promise<ControlView> {
  let standings: ReadonlyMap<string, Standing> = new Map();
  let lastRead: number | undefined;
  let fault: string | undefined;
  let connection: ControlConnection | undefined;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function readOnce(): Promise<void> {
    try {
      connection ??= await connect();
      standings = await within(connection.read(), timing.readMsMax);
      lastRead = Date.now();
      if (failures > 0) log.info('the control store is read again');
      failures = 0;
      fault = undefined;
    } catch (error) {
      connection?.close();
      connection = undefined;
      failures += 1;
      fault = error instanceof Error ? error.message || error.name : String(error);
      if (failures === 1)
        log.error(
          { err: error },
          lastRead === undefined
            ? 'the control store cannot be read: all is served from legacy until it can'
            : 'the control store cannot be read: what it said last stays in force',
        );
    }
  }

  let running: Promise<void> = readOnce();
  const next = () => {
    if (stopped) return;
    const ms = failures === 0 ? timing.pollMs : Math.min(timing.pollMs * 2 ** failures, timing.retryMsMax);
    timer = setTimeout(() => {
      running = readOnce().then(next);
    }, ms);
  };
  await running;
  next();

  return {
    standing: (capability) => standings.get(capability),
    status: () => ({
      connected: failures === 0,
      lastReadAt: lastRead === undefined ? null : new Date(lastRead).toISOString(),
      error: fault ?? null,
    }),
    ageSeconds: () => (lastRead === undefined ? undefined : (Date.now() - lastRead) / 1000),
    async stop() {
      stopped = true;
      clearTimeout(timer);
      connection?.close();
      await running;
      connection?.close();
    },
  };
}

/** Without a control store: said in the status, and all is served from legacy. */
export const noControlStore: ControlView = {
  standing: () => undefined,
  status: () => ({
    connected: false,
    lastReadAt: null,
    error: 'no control store is configured: give --control-url',
  }),
  ageSeconds: () => undefined,
  stop: async () => {},
};

// This replica's row in the control store: there before the first write can be sent, kept fresh, and gone after the last.
import type { Logger } from 'pino';
import { beatEveryMs } from '../capability/replicas.ts';
import { within } from './within.ts';

export type RegistryConnection = {
  beat(): Promise<void>;
  signOff(): Promise<void>;
  /** At once, also when the server hangs. */
  close(): void;
};

export type Registry = {
  readonly name: string;
  /** Returns when the first attempt is over, well or not; from then on it goes on by itself. */
  start(adminUrl: string): Promise<void>;
  isRegistered(): boolean;
  /** Nothing of this replica's own is in flight, and nothing will be. */
  stop(): Promise<void>;
};

const beatMsMax = 2_000;

/** @param registered called once, after the first success */
export function createRegistry(
  name: string,
  connect: (adminUrl: string) => Promise<RegistryConnection>,
  registered: () => void,
  log: Logger,
): Registry {
  let connection: RegistryConnection | undefined;
  let isRegistered = false;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let running: Promise<void> | undefined;

  async function beatOnce(adminUrl: string): Promise<void> {
    try {
      connection ??= await within(connect(adminUrl), beatMsMax);
      await within(connection.beat(), beatMsMax);
      failures = 0;
      if (isRegistered) return;
      isRegistered = true;
      registered();
    } catch (error) {
      connection?.close();
      connection = undefined;
      failures += 1;
      if (failures === 1)
        log.error(
          { err: error },
          isRegistered
            ? 'this replica cannot say that it is there'
            : 'this replica cannot register: writes wait until it can',
        );
    }
  }

  function next(adminUrl: string): void {
    if (stopped) return;
    const ms = isRegistered ? beatEveryMs : beatEveryMs / 4;
    timer = setTimeout(() => {
      running = beatOnce(adminUrl).then(() => next(adminUrl));
    }, ms);
  }

  return {
    name,
    async start(adminUrl) {
      running = beatOnce(adminUrl);
      await running;
      next(adminUrl);
    },
    isRegistered: () => isRegistered,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
      // Unreached, its heartbeat ends by itself.
      if (isRegistered && connection)
        await within(connection.signOff(), beatMsMax).catch((error) =>
          log.error({ err: error }, 'this replica cannot sign off'),
        );
      connection?.close();
    },
  };
}

// Several writers at once, who can be paused, each between two transactions.
import { until } from './until.ts';

export type Writer = {
  /** One transaction. @returns whether the writer goes on */
  turn(): Promise<boolean>;
  close(): void;
};

export type Crew = {
  /** Resolves when every writer has ended its transaction; the next begin after `resume`. */
  pause(): Promise<void>;
  resume(): void;
  /** Resolves when every writer has ended its last transaction. @throws what one of them has thrown */
  stop(): Promise<void>;
};

/**
 * @param hire what one writer does; `isOff`: it is to begin nothing more, or not now
 * @param mayGoOn throws when there is nothing more to wait for
 */
export function startCrew(
  size: number,
  hire: (writer: number, isOff: () => boolean) => Writer,
  mayGoOn: () => void,
  idleMsMax?: number,
): Crew {
  let isStopped = false;
  let paused: PromiseWithResolvers<void> | undefined;
  let idle = 0;
  const work = async (writer: number): Promise<void> => {
    const { turn, close } = hire(writer, () => isStopped || paused !== undefined);
    try {
      for (let goesOn = true; goesOn && !isStopped; )
        if (paused) {
          idle++;
          await paused.promise;
          idle--;
        } else goesOn = await turn();
    } finally {
      close();
    }
  };
  const running = Promise.allSettled(Array.from({ length: size }, (_, writer) => work(writer)));
  return {
    pause: async () => {
      paused ??= Promise.withResolvers();
      await until(
        'idle writers',
        () => {
          mayGoOn();
          return idle === size;
        },
        idleMsMax === undefined ? {} : { msMax: idleMsMax },
      );
    },
    resume: () => {
      paused?.resolve();
      paused = undefined;
    },
    stop: async () => {
      isStopped = true;
      paused?.resolve();
      for (const outcome of await running) if (outcome.status === 'rejected') throw outcome.reason;
    },
  };
}

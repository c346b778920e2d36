// The sample with two facades, reviews ready to change their owner, and shoppers who write all the time: what suites of the
// change of owner have in common.
import { createConnection } from 'mysql2/promise';
import { expect } from 'vitest';
import { popularProducts } from '../../scripts/sample-databases.ts';
import { startRelay } from '../relay.ts';
import { ledgerFaults } from './shop-ledger.ts';
import { type Shoppers, startShoppers } from './shoppers.ts';
import {
  againMsMax,
  type Cli,
  isForWantOfTime,
  type RunningCommand,
  type RunningStack,
  runNightly,
  startCommand,
  startStack,
} from './stack.ts';

export type Move = 'cutover' | 'rollback';

export type OwnerStack = {
  readonly stack: RunningStack;
  readonly shoppers: Shoppers;
  /** Runs a command, which must end well. */
  run(...words: string[]): Promise<Record<string, unknown>>;
  /** Runs `move` until it sends `words` to a server, and kills it there, before they have gone out or before their answer has come. */
  killedAt(step: {
    move: Move;
    on: 'legacy' | 'services' | 'control';
    words: string;
    lose: 'request' | 'answer';
  }): Promise<void>;
  /** The monolith's nightly batch, which goes past the facades. */
  nightly(): Promise<Cli>;
  /** A write through a facade, until it is answered. @returns milliseconds */
  writeOnce(): Promise<number>;
  /** Nobody's request failed, nobody was told anything wrong, and both sides have what was acknowledged. */
  expectUnnoticed(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** @param words of `npm start`, besides */
export async function startOwnerStack(
  seed: number,
  words: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<OwnerStack> {
  const stack = await startStack(['--replicas', '2', '--reviews', '300', ...words], undefined, env);
  const run = async (...given: string[]): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await stack.banyan(...given, '--json');
    expect({ command: given.join(' '), code, stderr: code === 0 ? '' : stdout + stderr }).toEqual({
      command: given.join(' '),
      code: 0,
      stderr: '',
    });
    return JSON.parse(stdout);
  };
  const portOf = (url: string) => Number(new URL(url).port);
  // Between the CLI and each server; everything else goes there directly.
  const relays = {
    legacy: await startRelay(portOf(stack.databases.legacy)),
    services: await startRelay(portOf(stack.databases.services)),
    control: await startRelay(portOf(stack.databases.control)),
  };
  const throughRelays = [
    ...['--folder', stack.folder],
    ...Object.entries(relays).flatMap(([name, { port }]) => [`--${name}-url`, `mysql://127.0.0.1:${port}`]),
  ];
  await run('backfill', 'reviews');
  await run('verify', 'reviews');
  await run('fence', 'reviews', '--enforce', '--execute');
  await run('shift', 'reviews', '--reads', '100');
  const products = await popularProducts(stack.databases.legacy);
  const facades = stack.facades.map(({ url }) => url);
  const shoppers = await startShoppers({
    facades,
    shoppers: 12,
    products,
    seed,
    writesPerSecond: 12,
    readsPerSecond: 24,
  });
  const prober = await startShoppers({
    facades,
    shoppers: 1,
    products: products.slice(-1),
    seed: seed + 1,
    writesPerSecond: 0,
    readsPerSecond: 0,
  });

  return {
    stack,
    shoppers,
    run,
    async killedAt({ move, on, words, lose }) {
      for (const end = performance.now() + againMsMax; ; ) {
        let command: RunningCommand | undefined;
        const sprung = relays[on].loseAtPart(words, lose, () => command?.kill('SIGKILL'));
        command = startCommand([move, 'reviews', '--execute', '--wait', '20', '--json', ...throughRelays]);
        const early = await Promise.race([sprung, command.ended]);
        if (!early) {
          expect((await command.ended).code).toBe(-1);
          return;
        }
        if (!isForWantOfTime(early.code) || performance.now() > end)
          throw new Error(`it ended before its step: ${early.code} ${early.stdout} ${early.stderr}`);
      }
    },
    nightly: () => runNightly(stack.batch),
    async writeOnce() {
      const startedAt = performance.now();
      await prober.writeOne();
      return performance.now() - startedAt;
    },
    async expectUnnoticed() {
      await Promise.all([shoppers.stop(), prober.stop()]);
      await run('verify', 'reviews');
      const on = {
        legacy: await createConnection(stack.databases.legacy),
        service: await createConnection(stack.databases.services),
      };
      const ledger = new Map([...shoppers.reviews, ...prober.reviews]);
      const faults = await ledgerFaults(on, ledger);
      for (const sql of Object.values(on)) sql.destroy();
      expect([...shoppers.troubles, ...prober.troubles]).toEqual([]);
      expect(faults).toEqual([]);
      expect(shoppers.ownReads()).toBeGreaterThan(0);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([shoppers.stop(), prober.stop()]);
      for (const relay of Object.values(relays)) await relay[Symbol.asyncDispose]();
      await stack[Symbol.asyncDispose]();
    },
  };
}

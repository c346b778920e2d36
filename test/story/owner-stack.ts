// The sample with two facades, reviews ready to change their owner, and shoppers who write all the time: what suites of the
// change of owner have in common.
import { createConnection } from 'mysql2/promise';
import { expect } from 'vitest';
import { popularProducts } from '../../scripts/sample-databases.ts';
import { type Relay, startRelay } from '../relay.ts';
import { ledgerFaults } from './shop-ledger.ts';
import { type Shoppers, startShoppers } from './shoppers.ts';
import {
  type Cli,
  type RunningCommand,
  type RunningStack,
  runNightly,
  startCommand,
  startStack,
} from './stack.ts';

export type OwnerStack = {
  readonly stack: RunningStack;
  readonly shoppers: Shoppers;
  /** Between the CLI and each server; everything else goes there directly. */
  readonly legacy: Relay;
  readonly services: Relay;
  readonly control: Relay;
  /** Runs a command, which must end well. */
  run(...words: string[]): Promise<Record<string, unknown>>;
  /** Starts a command through the relays. */
  start(...words: string[]): RunningCommand;
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
  const legacy = await startRelay(portOf(stack.databases.legacy));
  const services = await startRelay(portOf(stack.databases.services));
  const control = await startRelay(portOf(stack.databases.control));
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
    legacy,
    services,
    control,
    run,
    start(...given) {
      return startCommand([
        ...given,
        '--json',
        '--folder',
        stack.folder,
        '--legacy-url',
        `mysql://127.0.0.1:${legacy.port}`,
        '--services-url',
        `mysql://127.0.0.1:${services.port}`,
        '--control-url',
        `mysql://127.0.0.1:${control.port}`,
      ]);
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
      await legacy[Symbol.asyncDispose]();
      await services[Symbol.asyncDispose]();
      await control[Symbol.asyncDispose]();
      await stack[Symbol.asyncDispose]();
    },
  };
}

// What clients notice of a change of owner: nothing fails, nothing is wrong, and how long a write waits. The whole sample, two
// facades, as many clients as leave 30 % of the machine free, twenty changes there and back.
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { popularProducts } from '../scripts/sample-databases.ts';
import { ledgerFaults } from '../test/story/shop-ledger.ts';
import { type Shoppers, startShoppers } from '../test/story/shoppers.ts';
import { type RunningStack, startStack } from '../test/story/stack.ts';
import { atLeast, type Measured, within } from './measure.ts';

const changes = 20;
const writesMin = 100;
const readsMin = 400;
const idleMin = 0.3;
const seed = 7;

/** Of all processors since the machine started: idle and all ticks. */
function ticks(): { idle: number; all: number } {
  const [, ...numbers] = (readFileSync('/proc/stat', 'utf8').split('\n', 1)[0] ?? '').trim().split(/\s+/);
  const values = numbers.map(Number);
  return { idle: (values[3] ?? 0) + (values[4] ?? 0), all: values.reduce((sum, each) => sum + each, 0) };
}

async function idleShare(ms: number): Promise<number> {
  const before = ticks();
  await delay(ms);
  const after = ticks();
  return (after.idle - before.idle) / (after.all - before.all);
}

async function run(stack: RunningStack, ...words: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await stack.banyan(...words, '--json');
  if (code !== 0) throw new Error(`banyan ${words.join(' ')} ended with ${code}: ${stdout}${stderr}`);
  return JSON.parse(stdout);
}

async function prepare(stack: RunningStack): Promise<void> {
  await run(stack, 'backfill', 'reviews');
  await run(stack, 'verify', 'reviews');
  await run(stack, 'fence', 'reviews', '--enforce', '--execute');
  await run(stack, 'shift', 'reviews', '--reads', '100');
}

const start = async (stack: RunningStack, products: readonly number[], share: number, number: number) =>
  startShoppers({
    facades: stack.facades.map(({ url }) => url),
    shoppers: Math.ceil(40 * share),
    products,
    seed: seed + number,
    // A shopper who waits for an answer falls behind its pace by a few in a hundred; and each write is read back.
    writesPerSecond: Math.round(1.08 * writesMin * share),
    readsPerSecond: Math.round(1.14 * (readsMin - writesMin) * share),
    // Whoever looks at a product sees the summary; its list is read by who has written.
    listShare: 0.05,
  });

/** The highest load that leaves enough of the machine free; at least the least. */
async function findLoad(
  stack: RunningStack,
  products: readonly number[],
): Promise<{ share: number; idle: number }> {
  let found = { share: 1, idle: 0 };
  for (let share = 1, number = 1; ; share *= 1.25, number++) {
    const shoppers = await start(stack, products, share, number);
    await delay(3_000);
    const idle = await idleShare(3_000);
    await shoppers.stop();
    if (share > 1 && idle < idleMin) return found;
    found = { share, idle };
    if (idle < idleMin + 0.05) return found;
  }
}

type Change = {
  readonly fromMs: number;
  readonly toMs: number;
  readonly heldMs: number;
  readonly worstMs: number;
};

async function changeOnce(
  stack: RunningStack,
  shoppers: Shoppers,
  move: 'cutover' | 'rollback',
): Promise<Change> {
  const { heldMs } = await run(stack, move, 'reviews', '--execute', '--wait', '30');
  const toMs = shoppers.now();
  const held = Number(heldMs);
  // The command needs a moment to end after it has released.
  const fromMs = toMs - held - 500;
  await delay(1_000);
  const worstMs = Math.max(
    0,
    ...shoppers.timed
      .filter(({ kind, startedMs, ms }) => kind === 'write' && startedMs + ms >= fromMs && startedMs <= toMs)
      .map(({ ms }) => ms),
  );
  return { fromMs, toMs, heldMs: held, worstMs };
}

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const quantile = (values: readonly number[], share: number) =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;

/** @param size a share of the changes */
export async function benchPause(size: number): Promise<Measured[]> {
  const folder = mkdtempSync(join(tmpdir(), 'banyan-pause-'));
  await using stack = await startStack(['--replicas', '2', '--reviews', '20000'], folder);
  await prepare(stack);
  const products = await popularProducts(stack.databases.legacy);
  const { share, idle } = await findLoad(stack, products);
  const shoppers = await start(stack, products, share, 0);
  await delay(3_000);
  const done: Change[] = [];
  for (let number = 0; number < Math.max(2, Math.round(changes * size)); number++)
    done.push(await changeOnce(stack, shoppers, number % 2 === 0 ? 'cutover' : 'rollback'));
  const seconds = shoppers.now() / 1_000;
  await shoppers.stop();
  if (done.length % 2 === 1) await run(stack, 'rollback', 'reviews', '--execute', '--wait', '30');
  await run(stack, 'verify', 'reviews');
  const on = {
    legacy: await createConnection(stack.databases.legacy),
    service: await createConnection(stack.databases.services),
  };
  const faults = await ledgerFaults(on, shoppers.reviews);
  for (const sql of Object.values(on)) sql.destroy();
  for (const { what, detail } of shoppers.troubles.slice(0, 5)) process.stderr.write(`${what}: ${detail}\n`);
  for (const { side, mark, detail } of faults.slice(0, 5))
    process.stderr.write(`${side}: ${mark}: ${detail}\n`);
  const rate = (kind: 'read' | 'write') =>
    Math.round(shoppers.timed.filter((each) => each.kind === kind).length / seconds);
  const isInWindow = (at: number) => done.some(({ fromMs, toMs }) => at >= fromMs && at <= toMs);
  const reads = shoppers.timed.filter(({ kind }) => kind === 'read');
  const p99 = (some: typeof reads) =>
    quantile(
      some.map(({ ms }) => ms),
      0.99,
    );
  const usual = p99(reads.filter(({ startedMs }) => !isInWindow(startedMs)));
  const during = p99(reads.filter(({ startedMs }) => isInWindow(startedMs)));
  const worst = done.map(({ worstMs }) => worstMs);
  const count = (what: string) => shoppers.troubles.filter((each) => each.what === what).length;
  return [
    atLeast('writes', rate('write'), writesMin, writesMin, 'per second'),
    atLeast('reads', rate('read'), readsMin, readsMin, 'per second'),
    atLeast('processors idle under that', 100 * idle, 100 * idleMin, 100 * idleMin, '%'),
    within('failed requests', count('failed'), 0, 0, 'requests', `${done.length} changes of owner`),
    within(
      'wrong answers',
      count('wrong') + count('stale') + faults.length,
      0,
      0,
      'answers',
      `${shoppers.ownReads()} lists in which own writes were looked for, ${shoppers.reviews.size} reviews in the ledger`,
    ),
    within(
      'worst write stall',
      Math.max(...worst),
      500,
      150,
      'ms',
      `held for ${quantile(
        done.map(({ heldMs }) => heldMs),
        0.5,
      )} ms, the median`,
    ),
    within('median write stall', quantile(worst, 0.5), 250, 150, 'ms', 'of the worst of each change'),
    within(
      "reads' p99 in the windows",
      during / usual,
      2,
      1,
      'times their usual',
      `${during.toFixed(1)} ms, usually ${usual.toFixed(1)} ms`,
    ),
  ];
}

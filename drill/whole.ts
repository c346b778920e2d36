// The drill of the whole: clients of the shop, the nightly batch, and reviews that change their owner there and back and there
// again while everything that takes part is killed, frozen or cut off. Nobody may notice more than that.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { claimRunFolder } from '../scripts/run-folder.ts';
import { popularProducts } from '../scripts/sample.ts';
import { ledgerFaults } from '../test/story/shop-ledger.ts';
import { type Shoppers, startShoppers } from '../test/story/shoppers.ts';
import type { Cli } from '../test/story/stack.ts';
import { chance } from '../test/sync/seed.ts';
import { until } from '../test/sync/until.ts';
import { type BatchRun, runBatch } from './batch.ts';
import { endWithUs } from './end-with-us.ts';
import { differences } from './equal.ts';
import { keepEvidence } from './evidence.ts';
import { endHouse, type House, startHouse, sweepHouses } from './house.ts';
import { afterMathMs, explain, type Incident, type Ownership } from './incidents.ts';
import { type Walk, walk } from './leg.ts';
import { type Drill, type DrillOptions, emptyOutcome, isClean, type Outcome } from './outcome.ts';
import { type Leg, route } from './route.ts';
import { otherSide, type Side, streamsAligned, streamTrouble } from './sides.ts';
import { type StackFaultKind, stackFaultKinds } from './stack-faults.ts';
import { verify } from './verify.ts';

type Diary = {
  readonly incidents: Incident[];
  readonly ownership: Ownership[];
  /** What the commands said, those that were struck and those that mended it. */
  readonly commands: Cli[];
  /** Of the shoppers' troubles, how many have been looked at. */
  judged: number;
};

const writesPerSecond = 12;
const flowingMsMax = 20_000;

/** Reviews are ready to change their owner. */
async function prepare(house: House): Promise<void> {
  for (const words of [
    ['backfill', 'reviews'],
    ['backfill', 'wishlist'],
    ['verify', 'reviews'],
    ['fence', 'reviews', '--enforce', '--execute'],
    ['shift', 'reviews', '--reads', '100'],
  ]) {
    const { code, stdout, stderr } = await house.banyan(...words);
    if (code !== 0) throw new Error(`banyan ${words.join(' ')} ended with ${code}: ${stdout}${stderr}`);
  }
}

/** Each trouble of a client is explained by an incident, or is one too many. */
function judgeTroubles(shoppers: Shoppers, diary: Diary, total: Outcome, say: DrillOptions['say']): void {
  for (const trouble of shoppers.troubles.slice(diary.judged)) {
    diary.judged++;
    const incident = explain(trouble, diary.incidents, diary.ownership);
    const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
    const what = `${trouble.what} at ${seconds(trouble.startedMs)} after ${seconds(trouble.endedMs - trouble.startedMs)}: ${trouble.detail}`;
    if (incident) {
      total.also.explained = (total.also.explained ?? 0) + 1;
      say(`  explained by "${incident.fault}" at ${seconds(incident.from)}: ${what}`);
    } else {
      if (trouble.what === 'stale') total.staleReads++;
      else total.clientErrors++;
      total.reasons.push(what);
    }
  }
}

/** @param owners who may have owned while it ran */
function judgeBatch(
  run: BatchRun,
  owners: readonly Side[],
  { startedMs, endedMs }: { startedMs: number; endedMs: number },
  incidents: readonly Incident[],
  total: Outcome,
): void {
  const count = (name: string) => {
    total.also[name] = (total.also[name] ?? 0) + 1;
  };
  const wrong = (reason: string) => {
    total.clientErrors++;
    total.reasons.push(reason);
  };
  if (run.is === 'failed') {
    const isExplained = incidents.some(
      ({ hits, from, to }) =>
        hits.includes('legacy database') && endedMs >= from && startedMs <= to + afterMathMs,
    );
    if (isExplained) count('batchesExplained');
    else wrong(`the nightly batch failed: ${run.detail}`);
  } else if (run.is === 'refused') {
    if (owners.includes('service')) count('batchesRefused');
    else wrong(`the nightly batch was refused while legacy owned: ${run.detail}`);
  } else {
    count('batchesDone');
    if (run.hidden > 0 && !owners.includes('legacy'))
      total.reasons.push(`the nightly batch has hidden ${run.hidden} reviews while the service owned`);
  }
}

/** Nobody writes, and the streams have come to the end: now nothing may be missing, there twice, or different. */
async function judge(house: House, shoppers: Shoppers, total: Outcome): Promise<void> {
  const { servers, stack } = house;
  await streamsAligned(servers);
  const on = {
    legacy: await createConnection(stack.databases.legacy),
    service: await createConnection(stack.databases.services),
  };
  const faults = await ledgerFaults(on, shoppers.reviews);
  for (const sql of Object.values(on)) sql.destroy();
  total.lost += faults.filter(({ is }) => is === 'lost').length;
  total.doubled += faults.filter(({ is }) => is === 'doubled').length;
  total.reasons.push(
    ...faults.slice(0, 20).map(({ side, is, mark, detail }) => `${is} on ${side}: ${mark}: ${detail}`),
  );
  const equal = await differences(servers.legacy, servers.service);
  const verified = await verify(house, 'still');
  total.differences += equal.count > 0 ? equal.count : verified.differences;
  total.reasons.push(...equal.examples, ...verified.reasons, ...(await streamTrouble(servers)));
  if (equal.count > 0 && verified.differences === 0)
    total.reasons.push('"banyan verify" finds nothing where SQL finds differences');
  if (shoppers.ownReads() === 0) total.reasons.push('nobody has read what it had written');
}

/** The batch runs while the owner changes, or before. */
async function playLeg(
  on: Walk,
  leg: Leg<StackFaultKind>,
  from: Side,
  shoppers: Shoppers,
  diary: Diary,
  total: Outcome,
): Promise<number> {
  const batch = async (owners: readonly Side[]) => {
    const startedMs = shoppers.now();
    const run = await shoppers.withoutRecommendations(() => runBatch(on.house.stack.batch));
    judgeBatch(run, owners, { startedMs, endedMs: shoppers.now() }, diary.incidents, total);
  };
  if (leg.batch === 'before') await batch([from]);
  const meanwhile = leg.batch === 'meanwhile' ? batch(['legacy', 'service']) : undefined;
  const { reasons, struck, mended } = await walk(on, leg, from);
  total.reasons.push(...reasons);
  diary.commands.push(struck, mended);
  await meanwhile;
  return struck.code;
}

async function playAll(
  house: House,
  legs: readonly Leg<StackFaultKind>[],
  total: Outcome,
  options: DrillOptions,
) {
  const { say, seed, meddle } = options;
  await prepare(house);
  const shoppers = await startShoppers({
    facades: house.stack.facades.map(({ url }) => url),
    shoppers: 12,
    products: await popularProducts(house.stack.databases.legacy),
    seed,
    writesPerSecond,
    readsPerSecond: 24,
    forbiddenShare: 0.1,
  });
  const diary: Diary = {
    incidents: [],
    ownership: [{ from: 0, owners: ['legacy'] }],
    commands: [],
    judged: 0,
  };
  const on: Walk = {
    house,
    played: (fault) => {
      total.faults[fault] = (total.faults[fault] ?? 0) + 1;
    },
    begins: (fault, hits) => {
      const incident: Incident = { fault, hits, from: shoppers.now(), to: Number.POSITIVE_INFINITY };
      diary.incidents.push(incident);
      return () => {
        incident.to = shoppers.now();
      };
    },
    owned: (owners) => void diary.ownership.push({ from: shoppers.now(), owners }),
  };
  let owner: Side = 'legacy';
  try {
    for (const [index, leg] of legs.entries()) {
      const startedMs = shoppers.now();
      const before = shoppers.acknowledged();
      const struck = await playLeg(on, leg, owner, shoppers, diary, total);
      owner = otherSide(owner);
      const goal = shoppers.acknowledged() + 5;
      await until('writes that are acknowledged', () => shoppers.acknowledged() >= goal, {
        msMax: flowingMsMax,
      });
      await meddle?.(index + 1, house.servers);
      judgeTroubles(shoppers, diary, total, say);
      total.rounds++;
      const at = leg.at.is === 'quiet' ? 'before it' : `at the ${leg.at.lose} of ${leg.at.step}`;
      say(
        `round ${index + 1}: to ${owner}, ${leg.blows.map(({ fault }) => fault).join(', then ')} ${at}; the command ended with ${struck}; ${shoppers.acknowledged() - before} writes, ${isClean(total) ? `${owner} owns` : 'NOT as it should be'}, ${((shoppers.now() - startedMs) / 1_000).toFixed(1)} s`,
      );
      if (!isClean(total)) break;
    }
    await shoppers.stop();
    judgeTroubles(shoppers, diary, total, say);
    await judge(house, shoppers, total);
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? `: ${String(error.cause)}` : '';
    total.reasons.push(`${String(error)}${cause}`);
    judgeTroubles(shoppers, diary, total, say);
    await shoppers.stop();
  }
  total.acknowledged = shoppers.acknowledged();
  return diary;
}

export const wholeDrill: Drill = async (options) => {
  const { seed, rounds, folder } = options;
  const legs = route(chance(seed).fork('route'), stackFaultKinds, rounds);
  const evidence = join(folder, String(seed));
  rmSync(evidence, { recursive: true, force: true });
  const runs = join(folder, 'runs');
  await sweepHouses(runs);
  const runFolder = await claimRunFolder(join(runs, String(process.pid)));
  const end = () => endHouse(runFolder);
  const over = endWithUs(runFolder, end);
  const total = emptyOutcome();
  try {
    const house = await startHouse(runFolder.path, runFolder);
    const diary = await playAll(house, legs, total, options);
    const logs = house.logs();
    await house[Symbol.asyncDispose]();
    await over();
    if (!isClean(total)) keepEvidence(evidence, runFolder.path, { legs, total, ...diary }, logs);
  } finally {
    await over();
    await end();
    rmSync(runFolder.path, { recursive: true, force: true });
  }
  return total;
};

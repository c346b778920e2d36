// The soak: half the load that the machine bears, for long; the owner changes every minute, flags turn, and in every second minute
// something is killed. At the end nothing may be lost, nobody may have noticed more than the kills, and nothing may have grown.
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { popularProducts } from '../scripts/sample-databases.ts';
import { type Shoppers, startShoppers } from '../test/story/shoppers.ts';
import { chance } from '../test/sync/seed.ts';
import { until } from '../test/sync/until.ts';
import { type Diary, emptyDiary, judgeTroubles, playBatch, writtenDown } from './diary.ts';
import { type House, prepare } from './house.ts';
import { inHouse } from './in-house.ts';
import { judge } from './judge.ts';
import { keptEnv } from './kept-memory.ts';
import { type Walk, type Walked, walk } from './leg.ts';
import { emptyOutcome, inWords, isClean, type Outcome } from './outcome.ts';
import { otherSide, type Side } from './sides.ts';
import { judgeFlat, type Verdict } from './soak-figures.ts';
import { type Kill, type Minute, soakPlan } from './soak-plan.ts';
import { type Sampling, startSampling } from './soak-sample.ts';
import { type StackFaultKind, stackFaultKinds, stackFaults } from './stack-faults.ts';

export type SoakOptions = {
  readonly minutes: number;
  readonly seed: number;
  readonly writesPerSecond: number;
  /** With those that read back what was written. */
  readonly readsPerSecond: number;
  /** Where runs live, and where the evidence of a failure is kept: in a folder named by the seed. */
  readonly folder: string;
  /** A line a change, a line a kill. */
  readonly say: (line: string) => void;
};

export type Soaked = {
  readonly total: Outcome;
  readonly changes: number;
  readonly verdicts: readonly Verdict[];
  readonly ok: boolean;
};

/** Within each minute. A kill that is over late has what follows begin late. */
const at = { firstTurnMs: 3_000, changeMs: 12_000, killMs: 34_000, batchMs: 46_000, secondTurnMs: 50_000 };
const shoppersCount = 20;
const provenMsMax = 60_000;
/** A look that failed is one at who was down: those are few. */
const missedShareMax = 0.25;
/** By the names under which they are looked at. */
const victims: Readonly<Partial<Record<StackFaultKind, string>>> = {
  'worker killed': 'worker',
  'first facade killed': 'facade',
  'second facade killed': 'facade-2',
  'monolith killed': 'monolith',
  'service killed': 'reviews',
  'legacy server killed': 'legacy database',
  'services server killed': 'services database',
};

type Soak = {
  readonly house: House;
  readonly shoppers: Shoppers;
  readonly sampling: Sampling;
  readonly diary: Diary;
  readonly total: Outcome;
  readonly on: Walk;
  readonly say: SoakOptions['say'];
  owner: Side;
  changes: number;
};

/** In a run's folder: what its processes keep. */
const keptIn = (runFolder: string) => join(runFolder, 'kept');

const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;

async function turnFlag({ house, total }: Soak, percent: number): Promise<void> {
  const words = ['shift', 'wishlist', '--reads', String(percent)];
  const { code, stdout, stderr } = await house.banyan(...words);
  if (code !== 0)
    total.reasons.push(
      `banyan ${words.join(' ')} ended with ${code}, and nothing was struck: ${stdout}${stderr}`,
    );
}

async function killApart({ house, on, shoppers, say }: Soak, { fault, lastingMs }: Kill): Promise<void> {
  const startedMs = shoppers.now();
  on.played(fault);
  await stackFaults[fault](
    { house, command: undefined, begins: (hits) => on.begins(fault, hits) },
    lastingMs,
  );
  say(`  ${fault} at ${seconds(startedMs)}, all is there again ${seconds(shoppers.now() - startedMs)} later`);
}

function heldIn({ struck, mended }: Walked): string {
  const held = [struck, mended]
    .map(({ stdout }) => /"heldMs":(\d+)/.exec(stdout)?.[1])
    .filter((ms) => ms !== undefined);
  return held.length > 0 ? `writes were held for ${held.join(' and ')} ms` : 'nothing was held';
}

/** There or back; the command that was struck, if it was, and the one that mends it. */
async function changeOwner(soak: Soak, number: number, kill: Kill | undefined): Promise<void> {
  const { on, shoppers, diary, total, say } = soak;
  const startedMs = shoppers.now();
  const during = kill && kill.at.is !== 'apart' ? { moment: kill.at, blow: kill } : undefined;
  const walked = await walk(
    on,
    {
      at: during?.moment ?? { is: 'quiet' },
      blows: during ? [during.blow] : [],
      batch: 'before',
    },
    soak.owner,
  );
  const { struck, mended, reasons } = walked;
  total.reasons.push(...reasons);
  if (!during && struck.code !== 0)
    total.reasons.push(
      `change ${number} ended with ${struck.code}, and nothing was struck: ${struck.stdout}${struck.stderr}`,
    );
  diary.commands.push(struck, mended);
  soak.owner = otherSide(soak.owner);
  soak.changes++;
  const moment = during?.moment;
  const what = during
    ? `, ${during.blow.fault} ${moment?.is === 'step' ? `at the ${moment.lose} of ${moment.step}` : 'before it'}`
    : '';
  say(
    `change ${number}: to ${soak.owner}${what}; the command ended with ${struck.code}, ${heldIn(walked)}, ${seconds(shoppers.now() - startedMs)}`,
  );
}

async function playMinute(soak: Soak, number: number, { kill, turns, batch }: Minute): Promise<void> {
  const { house, shoppers, diary, total } = soak;
  const beginsMs = (number - 1) * 60_000;
  const comes = async (ms: number) => delay(Math.max(0, beginsMs + ms - shoppers.now()));
  const [firstTurn, secondTurn] = turns;
  await comes(at.firstTurnMs);
  if (firstTurn !== undefined) await turnFlag(soak, firstTurn);
  await comes(at.changeMs);
  await changeOwner(soak, number, kill);
  await comes(at.killMs);
  if (kill?.at.is === 'apart') await killApart(soak, kill);
  await comes(at.batchMs);
  if (batch && soak.owner === 'legacy') await playBatch(house, shoppers, ['legacy'], diary, total);
  await comes(at.secondTurnMs);
  if (secondTurn !== undefined) await turnFlag(soak, secondTurn);
  await comes(60_000);
}

/** Until all is over, or one of them was not as it should be. */
async function playMinutes(soak: Soak, plan: readonly Minute[]): Promise<void> {
  const { shoppers, diary, total, say } = soak;
  for (const [index, minute] of plan.entries()) {
    const before = { writes: shoppers.acknowledged(), explained: total.also.explained ?? 0 };
    await playMinute(soak, index + 1, minute);
    judgeTroubles(shoppers, diary, total, () => undefined);
    total.rounds++;
    say(
      `minute ${index + 1}: ${shoppers.acknowledged() - before.writes} writes, ${(total.also.explained ?? 0) - before.explained} errors explained, ${isClean(total) ? `${soak.owner} owns` : 'NOT as it should be'}`,
    );
    if (!isClean(total)) break;
  }
}

/** What was applied last is looked at within a second or so; then the last look. */
async function comeToRest({ house, sampling, total }: Soak): Promise<void> {
  const unproven = async () => {
    const [row] = await house.servers.service.query(
      'SELECT COALESCE(SUM(waiting + skipped), 0) AS unproven FROM banyan.banyan_touched',
    );
    return Number(row?.unproven);
  };
  await until('every change looked at', async () => (await unproven()) === 0, { msMax: provenMsMax }).catch(
    async (error: unknown) => total.reasons.push(`${inWords(error)}: ${await unproven()} are not`),
  );
  await sampling.stop();
  await sampling.look();
  for (const [what, { missed, looks }] of sampling.missed())
    if (missed > looks * missedShareMax)
      total.reasons.push(`${what}: not seen at ${missed} of ${looks} looks`);
  const kills = (name: string) =>
    stackFaultKinds.reduce((sum, kind) => sum + (victims[kind] === name ? (total.faults[kind] ?? 0) : 0), 0);
  // What ends by itself is started again, and nobody might notice.
  for (const [name, lives] of sampling.lives())
    if (lives - 1 > kills(name))
      total.reasons.push(`${name} was started again ${lives - 1} times, and killed ${kills(name)} times`);
}

async function soakIn(
  house: House,
  runFolder: string,
  plan: readonly Minute[],
  options: SoakOptions,
): Promise<Soaked & { readonly diary: Diary; readonly sampling: Sampling }> {
  const total = emptyOutcome();
  await prepare(house);
  const verified = await house.banyan('verify', 'wishlist');
  if (verified.code !== 0)
    throw new Error(`banyan verify wishlist ended with ${verified.code}: ${verified.stderr}`);
  const shoppers = await startShoppers({
    facades: house.stack.facades.map(({ url }) => url),
    shoppers: shoppersCount,
    products: await popularProducts(house.stack.databases.legacy),
    seed: options.seed,
    // A shopper who waits for an answer falls behind its pace by a few in a hundred; and each write is read back.
    writesPerSecond: Math.round(1.08 * options.writesPerSecond),
    readsPerSecond: Math.round(1.08 * Math.max(0, options.readsPerSecond - options.writesPerSecond)),
    forbiddenShare: 0.1,
  });
  const diary = emptyDiary();
  const on = writtenDown(house, shoppers, diary, total);
  const sampling = startSampling(house, runFolder, keptIn(runFolder));
  const standstill = monitorEventLoopDelay();
  standstill.enable();
  const soak: Soak = {
    ...{ house, shoppers, sampling, diary, total, on, say: options.say },
    owner: 'legacy',
    changes: 0,
  };
  try {
    await playMinutes(soak, plan);
    await shoppers.stop();
    judgeTroubles(shoppers, diary, total, options.say);
    await comeToRest(soak);
    await judge(house, shoppers, total);
  } catch (error) {
    total.reasons.push(inWords(error));
    judgeTroubles(shoppers, diary, total, options.say);
    await shoppers.stop();
    await sampling.stop();
  }
  total.acknowledged = shoppers.acknowledged();
  // Whatever clients waited for then they would not have elsewhere.
  total.also.ownStandstillMsMax = Math.round(standstill.max / 1e6);
  standstill.disable();
  const verdicts = sampling.series().map((series) => judgeFlat(series, soak.changes));
  const ok = isClean(total) && verdicts.every((verdict) => verdict.ok !== false);
  return { total, changes: soak.changes, verdicts, ok, diary, sampling };
}

export async function soak(options: SoakOptions): Promise<Soaked> {
  const plan = soakPlan(chance(options.seed).fork('soak'), options.minutes);
  const soaked = Promise.withResolvers<Soaked>();
  const houseOptions = { way: 'straight', env: (folder: string) => keptEnv(keptIn(folder)) } as const;
  await inHouse(options.folder, options.seed, houseOptions, async (house, runFolder) => {
    const { diary, sampling, ...found } = await soakIn(house, runFolder, plan, options);
    soaked.resolve(found);
    return found.ok ? undefined : { plan, ...found, series: sampling.series(), ...diary };
  });
  return soaked.promise;
}

// The drill of the whole: clients of the shop, the nightly batch, and reviews that change their owner there and back and there
// again while everything that takes part is killed, frozen or cut off. Nobody may notice more than that.
import { OptionsError } from '../capability/options.ts';
import { popularProducts } from '../scripts/sample-databases.ts';
import { type Shoppers, startShoppers } from '../test/story/shoppers.ts';
import { chance } from '../test/sync/seed.ts';
import { until } from '../test/sync/until.ts';
import { type Diary, emptyDiary, judgeTroubles, playBatch, writtenDown } from './diary.ts';
import { type House, prepare } from './house.ts';
import { inHouse } from './in-house.ts';
import { judge } from './judge.ts';
import { type Walk, walk } from './leg.ts';
import { type Drill, type DrillOptions, emptyOutcome, inWords, isClean, type Outcome } from './outcome.ts';
import { type Leg, route } from './route.ts';
import { otherSide, type Side } from './sides.ts';
import { type StackFaultKind, stackFaultKinds } from './stack-faults.ts';

const writesPerSecond = 12;
const flowingMsMax = 20_000;

/** The batch runs while the owner changes, or before. */
async function playLeg(
  on: Walk,
  leg: Leg<StackFaultKind>,
  from: Side,
  shoppers: Shoppers,
  diary: Diary,
  total: Outcome,
): Promise<number> {
  const batch = (owners: readonly Side[]) => playBatch(on.house, shoppers, owners, diary, total);
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
  const diary = emptyDiary();
  const on = writtenDown(house, shoppers, diary, total);
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
    total.reasons.push(inWords(error));
    judgeTroubles(shoppers, diary, total, say);
    await shoppers.stop();
  }
  total.acknowledged = shoppers.acknowledged();
  return diary;
}

/** @throws OptionsError */
function kindsNamed(faults: readonly string[]): readonly StackFaultKind[] {
  const unknown = faults.filter((name) => !stackFaultKinds.some((kind) => kind === name));
  if (unknown.length > 0)
    throw new OptionsError([
      `--faults: there is no "${unknown[0]}"; there are ${stackFaultKinds.join(', ')}`,
    ]);
  return faults.length === 0 ? stackFaultKinds : stackFaultKinds.filter((kind) => faults.includes(kind));
}

export const wholeDrill: Drill = async (options) => {
  const { seed, rounds, faults, folder } = options;
  const legs = route(chance(seed).fork('route'), kindsNamed(faults), rounds);
  const total = emptyOutcome();
  await inHouse(folder, seed, { way: 'relays' }, async (house) => {
    const diary = await playAll(house, legs, total, options);
    return isClean(total) ? undefined : { legs, total, ...diary };
  });
  return total;
};

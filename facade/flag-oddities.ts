// What of a flag means something else here than whoever made it may think: pure, for status and log.
import type { ClientFeatures, Feature } from './client-features.ts';
import type { AskedFlag } from './flags.ts';

type Strategy = NonNullable<Feature['strategies']>[number];

/** What is known of every client. */
const told = ['userId', 'currentTime'];
const rollouts = new Set(['flexibleRollout', 'gradualRolloutUserId']);
const known = new Set([...rollouts, 'default', 'userWithId', 'gradualRolloutRandom']);

const nobody = 'it moves nobody';

const stickinessOf = (strategy: Strategy) => String(strategy.parameters.stickiness ?? 'default');

/** A gradual rollout by the client's id: others move nobody, or anybody at any time. */
export const isSticky = (strategy: Strategy): boolean =>
  stickinessOf(strategy) === 'default' || stickinessOf(strategy) === 'userId';

function stickinessOddity(strategy: Strategy): string | undefined {
  if (strategy.name === 'gradualRolloutRandom')
    return 'gradualRolloutRandom moves a client back and forth: use a gradual rollout with stickiness "userId"';
  if (strategy.name !== 'flexibleRollout' || isSticky(strategy)) return undefined;
  const stickiness = stickinessOf(strategy);
  return stickiness === 'random'
    ? 'stickiness "random" moves a client back and forth: use "userId"'
    : `stickiness "${stickiness}" is of something that the facade does not know of a client, so ${nobody}: use "userId"`;
}

/** Those of its segments, too. */
export const constraintsOf = (strategy: Strategy, segments: ClientFeatures['segments']) => [
  ...strategy.constraints,
  ...(strategy.segments ?? []).flatMap((id) => segments.get(id)?.constraints ?? []),
];

function strategyOddities(
  strategy: Strategy,
  properties: readonly string[],
  segments: ClientFeatures['segments'],
): string[] {
  if (!known.has(strategy.name)) return [`strategy "${strategy.name}" is not known here: ${nobody}`];
  const oddities = [stickinessOddity(strategy)];
  for (const id of strategy.segments ?? [])
    if (!segments.has(id)) oddities.push(`segment ${id} is not there: the strategy with it moves nobody`);
  for (const name of new Set(constraintsOf(strategy, segments).map(({ contextName }) => contextName)))
    if (!told.includes(name) && !properties.includes(name))
      oddities.push(
        `a constraint is on "${name}", which the facade does not know of a client: it is judged as absent`,
      );
  return oddities.filter((oddity) => oddity !== undefined);
}

function dependencyOddities(feature: Feature, features: ClientFeatures['features']): string[] {
  return (feature.dependencies ?? []).flatMap(({ feature: parent, variants }) => {
    if (!features.has(parent)) return [`it depends on "${parent}", which is not there: ${nobody}`];
    return variants?.length
      ? [`it depends on a variant of "${parent}", and variants are not evaluated here: ${nobody}`]
      : [];
  });
}

/** @returns one text each, beginning with the flag's name */
export function flagOddities(asked: readonly AskedFlag[], { features, segments }: ClientFeatures): string[] {
  return asked.flatMap(({ name, properties }) => {
    const feature = features.get(name);
    if (!feature?.enabled) return [];
    const oddities = [
      ...(feature.strategies ?? []).flatMap((strategy) => strategyOddities(strategy, properties, segments)),
      ...dependencyOddities(feature, features),
    ];
    return [...new Set(oddities)].map((oddity) => `${name}: ${oddity}`);
  });
}

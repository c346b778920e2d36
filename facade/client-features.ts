// What Unleash's client API says, and what a flag file has in the same schema, parsed once: afterwards no evaluation can
// throw in the middle of a request.
import type { ClientFeaturesResponse } from 'unleash-client';

export type Feature = ClientFeaturesResponse['features'][number];
type Strategy = NonNullable<Feature['strategies']>[number];
type Constraint = Strategy['constraints'][number];
type Dependency = NonNullable<Feature['dependencies']>[number];
export type Segment = NonNullable<ClientFeaturesResponse['segments']>[number];

export type ClientFeatures = {
  readonly features: ReadonlyMap<string, Feature>;
  readonly segments: ReadonlyMap<number, Segment>;
};

/** The flags as other replicas and SDKs may have them: the body of an answer of Unleash's client API. */
export type SharedFlags = { readonly body: string; readonly etag: string };

/** What is no list of flags: where, and why. */
export class FeaturesError extends Error {
  override name = 'FeaturesError';
}

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

/** An operator that unleash-client does not know is fulfilled by nobody; a list that is none would be an exception. */
const isConstraint = (value: unknown): value is Constraint =>
  isObject(value) &&
  typeof value.contextName === 'string' &&
  typeof value.operator === 'string' &&
  isTexts(value.values);

/** Operators of one value come without `values` from some servers. */
function parseConstraints(value: unknown, where: string): Constraint[] {
  if (!Array.isArray(value)) throw new FeaturesError(`${where}: "constraints" is not a list of constraints`);
  return value.map((given: unknown) => {
    const constraint = isObject(given) ? { ...given, values: given.values ?? [] } : given;
    if (!isConstraint(constraint))
      throw new FeaturesError(
        `${where}: "constraints" has one without contextName, operator or a list of texts as values`,
      );
    return constraint;
  });
}

function parseStrategy(value: unknown, where: string): Strategy {
  if (!isObject(value) || typeof value.name !== 'string')
    throw new FeaturesError(`${where} has a strategy without a name`);
  const parameters = value.parameters ?? {};
  const segments: unknown = value.segments ?? [];
  if (!isObject(parameters))
    throw new FeaturesError(`${where}: the parameters of ${value.name} are no object`);
  if (!Array.isArray(segments) || !segments.every((id) => typeof id === 'number'))
    throw new FeaturesError(`${where}: the segments of ${value.name} are no numbers`);
  return {
    name: value.name,
    // The strategies split them as texts.
    parameters: Object.fromEntries(
      Object.entries(parameters)
        .filter(([, text]) => text !== undefined && text !== null)
        .map(([key, text]) => [key, String(text)]),
    ),
    constraints: parseConstraints(value.constraints ?? [], where),
    segments,
  };
}

function parseDependency(value: unknown, where: string): Dependency {
  if (!isObject(value) || typeof value.feature !== 'string')
    throw new FeaturesError(`${where} depends on a flag without a name`);
  return {
    feature: value.feature,
    enabled: value.enabled !== false,
    ...(isTexts(value.variants) && { variants: value.variants }),
  };
}

const listIn = (value: unknown, where: string, what: string): readonly unknown[] => {
  if (!Array.isArray(value)) throw new FeaturesError(`${where} has no "${what}" list`);
  return value;
};

function parseFeature(value: unknown, at: number): Feature {
  if (!isObject(value) || typeof value.name !== 'string' || value.name === '')
    throw new FeaturesError(`feature ${at + 1} has no name`);
  const where = `feature "${value.name}"`;
  if (typeof value.enabled !== 'boolean')
    throw new FeaturesError(`${where}: "enabled" is neither true nor false`);
  return {
    name: value.name,
    enabled: value.enabled,
    strategies: listIn(value.strategies, where, 'strategies').map((one) => parseStrategy(one, where)),
    dependencies: listIn(value.dependencies ?? [], where, 'dependencies').map((one) =>
      parseDependency(one, where),
    ),
  };
}

function parseSegment(value: unknown, at: number): Segment {
  if (!isObject(value) || typeof value.id !== 'number')
    throw new FeaturesError(`segment ${at + 1} has no id`);
  return { id: value.id, constraints: parseConstraints(value.constraints ?? [], `segment ${value.id}`) };
}

/**
 * Variants are left out: what is asked is on or off.
 * @throws FeaturesError
 */
export function parseClientFeatures(body: unknown): ClientFeatures {
  if (!isObject(body)) throw new FeaturesError('it is not an object');
  const features = listIn(body.features, 'it', 'features').map(parseFeature);
  const segments = listIn(body.segments ?? [], 'it', 'segments').map(parseSegment);
  return {
    features: new Map(features.map((feature) => [feature.name, feature])),
    segments: new Map(segments.map((segment) => [segment.id, segment])),
  };
}

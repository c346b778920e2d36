// Parity: how often both sides say the same to a read, as facades report it (GET /api/parity of an admin listener) and the CLI adds it up.
// All pure.

/** One way in which answers differ. `legacy`, `service`: what the values look like, never the values. */
export type PathParity = {
  readonly path: string;
  readonly kind: string;
  /** Comparisons in which it differed. */
  readonly count: number;
  /** Repeats of one request on legacy alone in which it differed, too. */
  readonly noise: number;
  /** How many of `count` are more than noise. */
  readonly counted: number;
  readonly example: {
    readonly ageMs: number;
    /** The query: names, and what the values look like. */
    readonly asked: string;
    readonly legacy: string;
    readonly service: string;
  } | null;
};

export type RouteParity = {
  /** As declared: `GET /api/review/list.do`. */
  readonly route: string;
  readonly compared: number;
  /** Without any difference that was still there when both sides were asked again. */
  readonly equal: number;
  /** Of the others, those that differ by more than noise. */
  readonly different: number;
  readonly repeated: number;
  /** Of the repeats, those in which legacy differed from itself. */
  readonly noisy: number;
  /** Mirrored, and the other side did not answer, or not in a form that could be compared. */
  readonly notCompared: number;
  /** Since the newest comparison. */
  readonly newestAgeMs: number | null;
  /** The most frequent first. */
  readonly paths: readonly PathParity[];
};

export type CapabilityParity = {
  readonly capability: string;
  /** At which epoch of the owner. */
  readonly epoch: string;
  readonly routes: readonly RouteParity[];
};

/** What `GET /api/parity?minutes=M` answers. */
export type ParityReport = {
  /** The window: comparisons of so many minutes. */
  readonly minutes: number;
  readonly capabilities: readonly CapabilityParity[];
};

/** A day of minutes. */
export const parityMinutesMax = 1_440;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;

function isPath(value: unknown): value is PathParity {
  if (!isRecord(value)) return false;
  const { path, kind, count, noise, counted, example } = value;
  const isExample =
    example === null ||
    (isRecord(example) &&
      isCount(example.ageMs) &&
      [example.asked, example.legacy, example.service].every(isText));
  return isText(path) && isText(kind) && [count, noise, counted].every(isCount) && isExample;
}

function isRoute(value: unknown): value is RouteParity {
  if (!isRecord(value)) return false;
  const { route, compared, equal, different, repeated, noisy, notCompared, newestAgeMs, paths } = value;
  return (
    isText(route) &&
    [compared, equal, different, repeated, noisy, notCompared].every(isCount) &&
    (newestAgeMs === null || isCount(newestAgeMs)) &&
    Array.isArray(paths) &&
    paths.every(isPath)
  );
}

const isCapability = (value: unknown): value is CapabilityParity =>
  isRecord(value) &&
  isText(value.capability) &&
  isText(value.epoch) &&
  Array.isArray(value.routes) &&
  value.routes.every(isRoute);

/** @returns undefined for what is no report */
export function parseParityReport(body: unknown): ParityReport | undefined {
  if (!isRecord(body) || !isCount(body.minutes) || !Array.isArray(body.capabilities)) return undefined;
  return body.capabilities.every(isCapability)
    ? { minutes: body.minutes, capabilities: body.capabilities }
    : undefined;
}

/** More of a route are not told. */
export const pathsMax = 20;

function addPaths(all: readonly PathParity[]): PathParity[] {
  const sums = new Map<string, PathParity>();
  for (const path of all) {
    const key = `${path.kind} ${path.path}`;
    const known = sums.get(key);
    if (!known) {
      sums.set(key, path);
      continue;
    }
    const isNewer =
      known.example === null || (path.example !== null && path.example.ageMs < known.example.ageMs);
    sums.set(key, {
      ...known,
      count: known.count + path.count,
      noise: known.noise + path.noise,
      counted: known.counted + path.counted,
      example: isNewer ? path.example : known.example,
    });
  }
  return [...sums.values()].sort((a, b) => b.counted - a.counted || b.count - a.count).slice(0, pathsMax);
}

/** Of one capability, over all replicas that are at one epoch; routes in the order in which they come. */
export function addParity(all: readonly CapabilityParity[]): RouteParity[] {
  const byRoute = new Map<string, RouteParity[]>();
  for (const { routes } of all)
    for (const route of routes) byRoute.set(route.route, [...(byRoute.get(route.route) ?? []), route]);
  return [...byRoute].map(([route, each]) => {
    const sum = (of: (one: RouteParity) => number) => each.reduce((total, one) => total + of(one), 0);
    const ages = each.flatMap(({ newestAgeMs }) => newestAgeMs ?? []);
    return {
      route,
      compared: sum(({ compared }) => compared),
      equal: sum(({ equal }) => equal),
      different: sum(({ different }) => different),
      repeated: sum(({ repeated }) => repeated),
      noisy: sum(({ noisy }) => noisy),
      notCompared: sum(({ notCompared }) => notCompared),
      newestAgeMs: ages.length === 0 ? null : Math.min(...ages),
      paths: addPaths(each.flatMap(({ paths }) => paths)),
    };
  });
}

/** The share of comparisons that differ by nothing but noise. */
export const parityShare = ({ compared, different }: Pick<RouteParity, 'compared' | 'different'>): number =>
  compared === 0 ? 0 : (compared - different) / compared;

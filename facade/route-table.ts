// From method and normalised path to the route that is declared, and its capability.
import { type Capability, type Route, readFlag } from '../capability/capability.ts';
import { type ContextPlan, contextPlan } from '../capability/context.ts';

export type RouteMatch = {
  /** Undefined for a route of the monolith's own that touches a capability's tables. */
  readonly capability: Capability | undefined;
  readonly route: Route;
  /** The capability's read flag. */
  readonly flag: string | undefined;
  /** What that may ask of a client beside its id. */
  readonly context: ContextPlan | undefined;
};

export type RouteTable = {
  /** @returns undefined when nobody declares it: then it is legacy's. */
  match(method: string, path: string): RouteMatch | undefined;
};

type Pattern = {
  /** Of the whole path, the empty one before the first slash included. */
  readonly segments: readonly string[];
  readonly wildcard: boolean;
  readonly match: RouteMatch;
};

const isName = (segment: string | undefined) => segment?.startsWith(':') === true;

function fits({ segments, wildcard }: Pattern, path: readonly string[]): boolean {
  if (wildcard ? path.length <= segments.length : path.length !== segments.length) return false;
  return segments.every(
    (segment, index) => segment === path[index] || (isName(segment) && path[index] !== ''),
  );
}

/** Literal segments before names, long patterns before short ones, `/*` last. */
function bySpecificity(a: Pattern, b: Pattern): number {
  if (a.wildcard !== b.wildcard) return a.wildcard ? 1 : -1;
  if (a.segments.length !== b.segments.length) return b.segments.length - a.segments.length;
  const names = ({ segments }: Pattern) => segments.filter(isName).length;
  return names(a) - names(b);
}

/** The routes of one method. */
class MethodTable {
  readonly #exact = new Map<string, RouteMatch>();
  readonly #patterns: Pattern[] = [];
  /** Those that a path can fit that begins so: most routes share no first segment, and are never looked at. */
  readonly #byFirst = new Map<string, Pattern[]>();
  #withoutFirst: Pattern[] = [];

  add(match: RouteMatch): void {
    const { path } = match.route;
    const wildcard = path.endsWith('/*');
    const segments = (wildcard ? path.slice(0, -2) : path).split('/');
    if (!wildcard && !segments.some(isName)) this.#exact.set(path, match);
    else this.#patterns.push({ segments, wildcard, match });
  }

  /** After the last one. */
  sort(): void {
    this.#patterns.sort(bySpecificity);
    const canBegin = (first: string | undefined) =>
      this.#patterns.filter(({ segments: [, own] }) => own === undefined || isName(own) || own === first);
    this.#withoutFirst = canBegin(undefined);
    for (const { segments } of this.#patterns) {
      const [, first] = segments;
      if (first !== undefined && !isName(first)) this.#byFirst.set(first, canBegin(first));
    }
  }

  match(path: string): RouteMatch | undefined {
    const found = this.#exact.get(path);
    if (found || this.#patterns.length === 0) return found;
    const segments = path.split('/');
    const candidates = this.#byFirst.get(segments[1] ?? '') ?? this.#withoutFirst;
    for (const pattern of candidates) if (fits(pattern, segments)) return pattern.match;
    return undefined;
  }
}

/** @param legacyRoutes `legacy.routes` of the configuration */
export function createRouteTable(
  capabilities: readonly Capability[],
  legacyRoutes: readonly Route[] = [],
): RouteTable {
  const tables = new Map<string, MethodTable>();
  const matches: RouteMatch[] = [
    ...legacyRoutes.map((route) => ({ capability: undefined, route, flag: undefined, context: undefined })),
    ...capabilities.flatMap((capability) => {
      const flag = readFlag(capability.name);
      const context = contextPlan(capability.context);
      return capability.routes.map((route) => ({ capability, route, flag, context }));
    }),
  ];
  for (const match of matches) {
    const { method } = match.route;
    const table = tables.get(method) ?? new MethodTable();
    tables.set(method, table);
    table.add(match);
  }
  for (const table of tables.values()) table.sort();
  return { match: (method, path) => tables.get(method === 'HEAD' ? 'GET' : method)?.match(path) };
}

// From method and normalised path to the route that is declared, and its capability.
import type { Capability, Route } from '../capability/capability.ts';

export type RouteMatch = {
  /** Undefined for a route of the monolith's own that touches a capability's tables. */
  readonly capability: Capability | undefined;
  readonly route: Route;
};

export type RouteTable = {
  /** @returns undefined when nobody declares it: then it is legacy's. */
  match(method: string, path: string): RouteMatch | undefined;
};

type Pattern = {
  readonly segments: readonly string[];
  readonly wildcard: boolean;
  readonly match: RouteMatch;
};

function fits({ segments, wildcard }: Pattern, path: readonly string[]): boolean {
  if (wildcard ? path.length <= segments.length : path.length !== segments.length) return false;
  return segments.every((segment, index) =>
    segment.startsWith(':') ? path[index] !== '' : segment === path[index],
  );
}

/** Literal segments before names, long patterns before short ones, `/*` last. */
function bySpecificity(a: Pattern, b: Pattern): number {
  if (a.wildcard !== b.wildcard) return a.wildcard ? 1 : -1;
  if (a.segments.length !== b.segments.length) return b.segments.length - a.segments.length;
  const names = ({ segments }: Pattern) => segments.filter((segment) => segment.startsWith(':')).length;
  return names(a) - names(b);
}

/** @param legacyRoutes `legacy.routes` of the configuration */
export function createRouteTable(
  capabilities: readonly Capability[],
  legacyRoutes: readonly Route[] = [],
): RouteTable {
  const exact = new Map<string, RouteMatch>();
  const patterns = new Map<string, Pattern[]>();
  const matches: RouteMatch[] = [
    ...legacyRoutes.map((route) => ({ capability: undefined, route })),
    ...capabilities.flatMap((capability) => capability.routes.map((route) => ({ capability, route }))),
  ];
  for (const match of matches) {
    const { method, path } = match.route;
    const wildcard = path.endsWith('/*');
    const segments = (wildcard ? path.slice(0, -2) : path).split('/').slice(1);
    if (!wildcard && !segments.some((segment) => segment.startsWith(':'))) {
      exact.set(`${method} ${path}`, match);
      continue;
    }
    const list = patterns.get(method) ?? [];
    list.push({ segments, wildcard, match });
    patterns.set(method, list.sort(bySpecificity));
  }
  return {
    match(method, path) {
      const as = method === 'HEAD' ? 'GET' : method;
      const found = exact.get(`${as} ${path}`);
      if (found) return found;
      const list = patterns.get(as);
      if (!list) return undefined;
      const segments = path.split('/').slice(1);
      return list.find((pattern) => fits(pattern, segments))?.match;
    },
  };
}

// From method and normalised path to the capability and the route that declares it.
import type { Capability, Route } from '../capability/capability.ts';

export type RouteMatch = { readonly capability: Capability; readonly route: Route };

export type RouteTable = {
  /** @returns undefined when no capability declares it: then it is legacy's. */
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

export function createRouteTable(capabilities: readonly Capability[]): RouteTable {
  const exact = new Map<string, RouteMatch>();
  const patterns = new Map<string, Pattern[]>();
  for (const capability of capabilities)
    for (const route of capability.routes) {
      const match = { capability, route };
      const wildcard = route.path.endsWith('/*');
      const segments = (wildcard ? route.path.slice(0, -2) : route.path).split('/').slice(1);
      if (!wildcard && !segments.some((segment) => segment.startsWith(':'))) {
        exact.set(`${route.method} ${route.path}`, match);
        continue;
      }
      const list = patterns.get(route.method) ?? [];
      list.push({ segments, wildcard, match });
      patterns.set(route.method, list.sort(bySpecificity));
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

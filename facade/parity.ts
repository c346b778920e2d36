// What this replica knows of parity: of each capability that is shadowed, route by route, at the present epoch of its owner.
import type { CapabilityParity } from '../capability/parity.ts';
import type { Difference } from './compare-json.ts';
import { RouteCounts } from './route-parity.ts';

/** Of which comparison: a route as declared, and the epoch at which the request was answered. */
export type Subject = { readonly capability: string; readonly route: string; readonly epoch: bigint };

export type Parity = {
  compared(subject: Subject, differences: readonly Difference[], asked: string): void;
  repeated(subject: Subject, differences: readonly Difference[]): void;
  notCompared(subject: Subject): void;
  /** Whether legacy differs from itself at each of these places. */
  isNoise(subject: Subject, differences: readonly Difference[]): boolean;
  /** Of the last so many minutes. What was seen at an earlier epoch says nothing of this one. */
  report(capability: string, epoch: bigint, minutes: number): CapabilityParity;
};

type OfEpoch = { readonly epoch: bigint; readonly routes: Map<string, RouteCounts> };

/**
 * @param examplesMsMax how long the looks of differing values are kept
 * @param now milliseconds
 */
export function createParity(examplesMsMax: number, now: () => number = Date.now): Parity {
  const capabilities = new Map<string, OfEpoch>();

  /** Undefined for what belongs to an epoch that is over. */
  function countsOf({ capability, route, epoch }: Subject): RouteCounts | undefined {
    let of = capabilities.get(capability);
    if (of && epoch < of.epoch) return undefined;
    if (!of || epoch > of.epoch) {
      of = { epoch, routes: new Map() };
      capabilities.set(capability, of);
    }
    let counts = of.routes.get(route);
    if (!counts) {
      counts = new RouteCounts(route, examplesMsMax);
      of.routes.set(route, counts);
    }
    return counts;
  }

  return {
    compared: (subject, differences, asked) => countsOf(subject)?.compared(now(), differences, asked),
    repeated: (subject, differences) => countsOf(subject)?.repeated(now(), differences),
    notCompared: (subject) => countsOf(subject)?.notCompared(now()),
    isNoise: (subject, differences) => countsOf(subject)?.isNoise(differences) ?? false,
    report(capability, epoch, minutes) {
      const of = capabilities.get(capability);
      const isPresent = of !== undefined && of.epoch === epoch;
      const routes = isPresent ? [...of.routes.values()].map((each) => each.report(now(), minutes)) : [];
      return { capability, epoch: epoch.toString(), routes };
    },
  };
}

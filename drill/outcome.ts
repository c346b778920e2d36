// What a drill has found.

import type { SideServer } from '../test/sync/servers.ts';
import type { Side } from './sides.ts';

export type Outcome = {
  rounds: number;
  acknowledged: number;
  /** Acknowledged writes that are not there. */
  lost: number;
  /** Writes that are there more often than acknowledged, or were applied twice. */
  doubled: number;
  /** Rows that differ between the two sides. */
  differences: number;
  /** Errors of clients that no fault explains. */
  clientErrors: number;
  /** Values that went back while a client looked. */
  staleReads: number;
  /** How often each was played. */
  readonly faults: Record<string, number>;
  /** Further counts, which are no findings. */
  readonly also: Record<string, number>;
  /** What is wrong, in words; empty when nothing is. */
  readonly reasons: string[];
};

export type DrillOptions = {
  readonly seed: number;
  readonly rounds: number;
  /** Only these strike; none are named: all there are. */
  readonly faults: readonly string[];
  /** Where runs live, and where the evidence of a failure is kept: in a folder named by the seed. */
  readonly folder: string;
  /** One line a round. */
  readonly say: (line: string) => void;
  /** Something that no fault of the schedule does, late in each round: shows that the drill can fail. */
  readonly meddle?: (round: number, servers: Readonly<Record<Side, SideServer>>) => Promise<void>;
};

export type Drill = (options: DrillOptions) => Promise<Outcome>;

export const emptyOutcome = (): Outcome => ({
  rounds: 0,
  acknowledged: 0,
  lost: 0,
  doubled: 0,
  differences: 0,
  clientErrors: 0,
  staleReads: 0,
  faults: {},
  also: {},
  reasons: [],
});

export const isClean = ({ lost, doubled, differences, clientErrors, staleReads, reasons }: Outcome) =>
  lost + doubled + differences + clientErrors + staleReads === 0 && reasons.length === 0;

/** What has ended a drill before its time. */
export function inWords(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? `: ${String(error.cause)}` : '';
  return `${String(error)}${cause}`;
}

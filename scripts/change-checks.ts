// What a change of owner makes sure of beside its protocol: before the hold, with time; and once more just before the close,
// while writers are being held.
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import type { ChangeOfOwner } from '../capability/change-of-owner-place.ts';
import type { Attempt } from '../capability/change-of-owner-state.ts';
import { countersOf, raiseCounters } from '../sync/raise-counters.ts';
import type { ChangeSessions } from './change-sessions.ts';
import { connectAs, type ServerValues } from './command.ts';
import { counterEnds, describeCounter, fenceModes } from './gate-facts.ts';

/** The worker looks at the keys of the last moment as soon as the turn passes; it takes some milliseconds. */
const provenMsMax = 1_000;

export type ChangeChecks = {
  /** Raises the counters of the side that shall own. @returns what was done, for people */
  prepare(): Promise<string[]>;
  /** @returns faults */
  beforeClose(change: ChangeOfOwner, attempt: Attempt): Promise<string[]>;
  close(): void;
};

export type ChangeChecksInput = {
  readonly config: BanyanConfig;
  readonly capability: Capability;
  readonly values: ServerValues;
  readonly sessions: ChangeSessions;
  readonly to: Side;
};

export async function changeChecks(input: ChangeChecksInput): Promise<ChangeChecks> {
  const {
    capability: { name },
    values,
    sessions,
    to,
  } = input;
  const from: Side = to === 'legacy' ? 'service' : 'legacy';
  // Only the applying account passes the fence.
  const applier = await connectAs(to === 'legacy' ? 'legacy' : 'services', 'banyan_apply', values);
  return {
    async prepare() {
      const on = await sessions.both();
      const raised = await raiseCounters(counterEnds(input, from, { ...on, [to]: applier }));
      return raised.map((counter) => `raised: ${describeCounter(counter)}`);
    },
    async beforeClose(_change, { turn }) {
      const [modes, counters, proofs] = await Promise.all([
        fenceModes(input),
        countersOf(counterEnds(input, from, await sessions.both())),
        proofsOf(await sessions.sql('service'), name, from, turn),
      ]);
      return [
        ...modes
          .filter(({ mode }) => mode !== 'enforce')
          .map(({ side, table, mode }) => `the fence of ${side}'s ${table} does not refuse (${mode})`),
        ...counters
          .filter(({ source, target }) => target < source)
          .map((counter) => `a counter is behind: ${describeCounter(counter)}`),
        ...proofs,
      ];
    },
    close() {
      applier.destroy();
    },
  };
}

/** Whether everything that was written before the turn has been found the same on both sides. */
async function proofsOf(services: Connection, name: string, source: Side, turn: bigint): Promise<string[]> {
  for (const start = performance.now(); ; await delay(2)) {
    const [[row]] = await services.query<RowDataPacket[]>(
      `SELECT CAST((SELECT turn FROM banyan.banyan_proven WHERE capability = ? AND source = ?) AS CHAR) AS turn,
         (SELECT COUNT(*) FROM banyan.banyan_mismatch WHERE capability = ? AND source = ?) AS mismatched`,
      [name, source, name, source],
    );
    const mismatched = Number(row?.mismatched ?? 0);
    if (mismatched > 0)
      return [`${mismatched} keys are not the same on both sides: run "banyan verify ${name}"`];
    if (row?.turn === turn.toString()) return [];
    if (performance.now() - start > provenMsMax)
      return [`the changes of the last moment were not verified within ${provenMsMax} ms`];
  }
}

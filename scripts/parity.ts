// Parity as all facades know it: each registered one asked on its admin listener, and what they say added up.
import { addParity, parseParityReport, type RouteParity } from '../capability/parity.ts';
import type { ReplicaRow } from '../capability/replicas.ts';

const answerMsMax = 2_000;

export type Summed = {
  /** Of the owner, as the facades know it; null: no facade has answered. */
  readonly epoch: string | null;
  readonly routes: readonly RouteParity[];
  /** Names of those who have answered. */
  readonly heard: readonly string[];
  readonly unheard: readonly string[];
};

async function reportAt({ adminUrl }: ReplicaRow, token: string, minutes: number) {
  try {
    const response = await fetch(new URL(`/api/parity?minutes=${minutes}`, adminUrl), {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(answerMsMax),
    });
    return response.ok ? parseParityReport(await response.json()) : undefined;
  } catch {
    return undefined; // whatever the reason, it has not answered
  }
}

/** Of those that know the newest epoch: what others have seen says nothing of this owner. */
export async function readParity(
  rows: readonly ReplicaRow[],
  token: string,
  capability: string,
  minutes: number,
): Promise<Summed> {
  const reports = await Promise.all(rows.map((row) => reportAt(row, token, minutes)));
  const found = reports.map((report) => report?.capabilities.find((each) => each.capability === capability));
  const names = (isHeard: boolean) =>
    rows.filter((_row, index) => (found[index] !== undefined) === isHeard).map(({ name }) => name);
  const all = found.flatMap((each) => each ?? []);
  const epochs = all.map(({ epoch }) => BigInt(epoch));
  const epoch = epochs.reduce<bigint | null>(
    (newest, each) => (newest === null || each > newest ? each : newest),
    null,
  );
  return {
    epoch: epoch?.toString() ?? null,
    routes: addParity(all.filter((each) => each.epoch === epoch?.toString())),
    heard: names(true),
    unheard: names(false),
  };
}

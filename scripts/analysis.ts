// What all facades have counted of a capability's reads: each registered one asked on its admin listener, and what they say added up.
import { beatOverMs, type ReplicaRow } from '../capability/replicas.ts';
import { addTallies, emptyTally, parseAnalysisReport, type Tally, tallySince } from '../capability/tally.ts';

const answerMsMax = 2_000;

/** At one moment. */
export type Counted = {
  /** Under the name that a facade counts by: one that was started again has another. */
  readonly tallies: ReadonlyMap<string, Tally>;
  /** Registered, alive, and silent. */
  readonly unheard: readonly string[];
};

async function reportAt({ adminUrl }: ReplicaRow, token: string) {
  try {
    const response = await fetch(new URL('/api/analysis', adminUrl), {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(answerMsMax),
    });
    return response.ok ? parseAnalysisReport(await response.json()) : undefined;
  } catch {
    return undefined; // whatever the reason, it has not answered
  }
}

export async function readTallies(
  rows: readonly ReplicaRow[],
  token: string,
  capability: string,
): Promise<Counted> {
  const alive = rows.filter(({ beatAgeMs }) => beatAgeMs <= beatOverMs);
  const reports = await Promise.all(alive.map((row) => reportAt(row, token)));
  const tallies = new Map<string, Tally>();
  for (const report of reports) {
    const found = report?.capabilities.find((each) => each.capability === capability);
    if (report && found) tallies.set(report.replica, found);
  }
  const unheard = alive.filter((_row, index) => reports[index] === undefined).map(({ name }) => name);
  return { tallies, unheard };
}

export type Window = { readonly sum: Tally; readonly byFacade: ReadonlyMap<string, Tally> };

/** What was counted between two moments. What a facade that has gone had counted since is lost. */
export function windowBetween(before: Counted, after: Counted): Window {
  const byFacade = new Map(
    [...after.tallies].map(([name, tally]) => [
      name,
      tallySince(before.tallies.get(name) ?? emptyTally, tally),
    ]),
  );
  return { sum: addTallies([...byFacade.values()]), byFacade };
}

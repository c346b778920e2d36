// What a benchmark says: our figure beside its peer's of the same run.

export type Measured = {
  readonly what: string;
  readonly ours: number | null;
  readonly peer: number | null;
  /** Ours to the peer's, higher is better; null for figures without a peer. */
  readonly ratio: number | null;
  readonly atLeast: string;
  readonly aim: string;
  readonly ok: boolean;
  /** Units, and where it falls short, why. */
  readonly note: string;
};

const round = (value: number) => Number(value.toPrecision(4));

/** A rate beside a peer's rate: the ratio must reach `atLeast`. A missing peer is a row that is not ok. */
export function againstPeer(
  what: string,
  ours: number,
  peer: number | undefined,
  atLeast: number,
  aim: number,
  note: string,
): Measured {
  const ratio = peer === undefined ? null : ours / peer;
  return {
    what,
    ours: round(ours),
    peer: peer === undefined ? null : round(peer),
    ratio: ratio === null ? null : round(ratio),
    atLeast: `${atLeast}x`,
    aim: `${aim}x`,
    ok: ratio !== null && ratio >= atLeast,
    note,
  };
}

/**
 * Ours and the peer's measured in turn, round by round: what disturbs the machine disturbs both. The round with the
 * median ratio counts.
 * @param rates each round's; a peer that is missing is undefined
 */
export function inRounds(
  what: string,
  rates: readonly { readonly ours: number; readonly peer: number | undefined }[],
  atLeast: number,
  aim: number,
  note: string,
): Measured {
  const ratios = rates.map(({ ours, peer }) => ours / (peer ?? Number.NaN));
  const typical = rates[ratios.indexOf(median(ratios))] ?? rates[0];
  return againstPeer(
    what,
    typical?.ours ?? Number.NaN,
    typical?.peer,
    atLeast,
    aim,
    `${note}; the median of rounds with ratios ${ratios.map((ratio) => ratio.toFixed(2)).join(', ')}`,
  );
}

/** A figure with a limit: it must not be above. */
export const within = (
  what: string,
  ours: number,
  limit: number,
  aim: number,
  unit: string,
  note = '',
): Measured => ({
  what,
  ours: round(ours),
  peer: null,
  ratio: null,
  atLeast: `${limit} ${unit}`,
  aim: `${aim} ${unit}`,
  ok: ours <= limit,
  note: `${unit}${note ? `; ${note}` : ''}`,
});

/** A figure that must not be below. */
export const atLeast = (...row: Parameters<typeof within>): Measured => {
  const [, ours, least] = row;
  return { ...within(...row), ok: ours >= least };
};

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

export const percentile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ??
  Number.NaN;

export function print(rows: readonly Measured[], json: boolean): void {
  if (json) {
    console.log(JSON.stringify({ rows }));
    return;
  }
  for (const { what, ours, peer, ratio, atLeast, aim, ok, note } of rows)
    console.log(
      `${ok ? 'ok   ' : 'SHORT'} ${what}: ${ours}${peer === null ? '' : ` against ${peer}, ratio ${ratio}`} (asked ${atLeast}, aim ${aim}) ${note}`,
    );
}

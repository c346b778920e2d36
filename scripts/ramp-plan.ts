// Which steps a ramp takes, and for how long each. Pure.
import { CommandError } from './command.ts';

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const isUnit = (word: string | undefined): word is keyof typeof units =>
  word !== undefined && Object.hasOwn(units, word);

const everyMsMin = 1_000;
const everyMsMax = 24 * 3_600_000;

/** "60s", "5m", "1500ms", "1h". @returns milliseconds @throws CommandError */
export function parseEvery(text: string): number {
  const [, number, unit] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const ms = isUnit(unit) ? Number(number) * units[unit] : Number.NaN;
  if (!(ms >= everyMsMin && ms <= everyMsMax))
    throw new CommandError(`--every is "${text}": say 30s, 5m or 1h; 1s at least, and 24h at most`, {
      exitCode: 2,
    });
  return ms;
}

/** @returns ascending whole percentages @throws CommandError */
export function parseSteps(list: readonly string[]): number[] {
  const steps = list.map((text) => (/^\d{1,3}$/.test(text) ? Number(text) : Number.NaN));
  const isAscending = steps.every((step, at) => step >= 1 && step <= 100 && step > (steps[at - 1] ?? 0));
  if (steps.length === 0 || !isAscending)
    throw new CommandError(
      `--steps is "${list.join(',')}": say whole percentages of 1 to 100, each above the one before (clients move forward only)`,
      { exitCode: 2 },
    );
  return steps;
}

/**
 * Those that are left: who has been moved stays. The one at which the reads are already is judged again.
 * @param percent served now; undefined: nobody knows
 */
export const stepsLeft = (steps: readonly number[], percent: number | undefined): number[] =>
  steps.filter((step) => step >= (percent ?? 0));

export const everyText = (ms: number): string =>
  ms % 60_000 === 0 ? `${ms / 60_000} min` : ms % 1_000 === 0 ? `${ms / 1_000} s` : `${ms} ms`;

// What every command that has gates says of them: its options, which gate may be passed over, how verdicts are told.
import type { Capability } from '../capability/capability.ts';
import { type Facts, usualLimits, type Verdict } from '../capability/gate.ts';
import { type Gated, gateNames, judgeGates } from '../capability/gates.ts';
import type { Declaration, Values } from '../capability/options.ts';
import { actingOptions, CommandError } from './command.ts';
import { adminOptions } from './facade-admin.ts';

export const changeOptions = {
  ...actingOptions,
  ...adminOptions,
  execute: { type: 'flag', help: 'Do it; without it the gates are looked at, and nothing else.' },
  override: {
    type: 'list',
    help: 'GATE,…: gates that you answer for, by their names; needs --reason, and is in the audit.',
  },
  reason: { type: 'text', help: 'Why, for the audit.' },
  wait: {
    type: 'integer',
    default: 0,
    min: 0,
    max: 86_400,
    help: 'For so many seconds: wait for gates and for another command, and try again what had to be undone.',
  },
} as const satisfies Declaration;

export type ChangeValues = Values<typeof changeOptions>;

const describeVerdict = ({ gate, verdict, evidence, ageMs, remedy, mayBeOverridden }: Verdict): string[] => [
  `${verdict === 'pass' ? 'pass' : verdict === 'fail' ? 'FAIL' : 'over'}  ${gate.padEnd(12)} ${evidence}${ageMs === null ? '' : ` (${ageText(ageMs)} old)`}`,
  ...(verdict === 'fail'
    ? [`      ${' '.repeat(12)} do: ${remedy}${mayBeOverridden ? '' : ' (cannot be overridden)'}`]
    : []),
];

export function ageText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}

export const verdictLines = (verdicts: readonly Verdict[]): string[] => verdicts.flatMap(describeVerdict);

/** @throws CommandError for words that cannot mean anything */
export function checkOverride(values: ChangeValues, move: Gated): void {
  const known = gateNames(move);
  const unknown = values.override.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new CommandError(`--override: there is no gate "${unknown[0]}"; there are ${known.join(', ')}`, {
      exitCode: 2,
    });
  if (values.override.length > 0 && !values.reason)
    throw new CommandError('--override needs a --reason: whoever reads the audit will ask', { exitCode: 2 });
}

/** By the capability's own limits. */
export function verdictsOf(
  move: Gated,
  { name, gates }: Capability,
  facts: Facts,
  override: readonly string[],
): Verdict[] {
  return judgeGates(move, name, facts, { ...usualLimits, ...gates }, override);
}

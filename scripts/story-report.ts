// What a story has shown, as a page: every gate with what it saw, and what clients noticed. Pure.
import type { Verdict } from '../capability/gate.ts';
import type { Ledger } from './traffic.ts';

export type Seen = Pick<Verdict, 'gate' | 'verdict' | 'evidence'>;

export type Chapter = {
  readonly title: string;
  /** As one types it. */
  readonly command: string;
  /** Since the story began. */
  readonly atMs: number;
  readonly tookMs: number;
  readonly isAsExpected: boolean;
  /** What became of it, in a sentence. */
  readonly end: string;
  readonly gates: readonly Seen[];
  /** Of the clients, meanwhile. */
  readonly ledger: Ledger;
};

export type Story = {
  readonly chapters: readonly Chapter[];
  /** From the service's death until no facade asked it for a client's read. */
  readonly healedMs: number | undefined;
  readonly total: Ledger;
};

/** A read that a failing service gives back is there within this. */
export const healedMsMax = 5_000;

/** Everything that did not go as it should; an empty list is a happy end. */
export function storyFaults({ chapters, healedMs, total }: Story): string[] {
  return [
    ...chapters
      .filter(({ isAsExpected }) => !isAsExpected)
      .map(({ command, end }) => `"${command}" ended otherwise than it should: ${end}`),
    ...(healedMs === undefined || healedMs > healedMsMax
      ? [`the reads of a dead service were not back on legacy within ${healedMsMax} ms`]
      : []),
    ...(total.failures > 0 ? [`clients saw ${total.failures} failures`] : []),
    ...(total.missing > 0 ? [`${total.missing} writes were not found by who wrote them`] : []),
  ];
}

export const addLedgers = (ledgers: readonly Ledger[]): Ledger => ({
  requests: ledgers.reduce((sum, each) => sum + each.requests, 0),
  failures: ledgers.reduce((sum, each) => sum + each.failures, 0),
  missing: ledgers.reduce((sum, each) => sum + each.missing, 0),
  slowestMs: Math.max(0, ...ledgers.map(({ slowestMs }) => slowestMs)),
});

export const clock = (ms: number): string => {
  const seconds = Math.floor(ms / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
};

export const ledgerText = ({ requests, failures, missing, slowestMs }: Ledger): string =>
  `${requests} requests, ${failures} failures, ${missing} own writes missing, the slowest ${slowestMs} ms`;

const row = (cells: readonly string[]) =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;

/** In Markdown. */
export function storyReport(story: Story): string {
  const { chapters, healedMs, total } = story;
  const faults = storyFaults(story);
  const gates = chapters.flatMap(({ title, gates: seen }) =>
    seen.map(({ gate, verdict, evidence }) => row([title, gate, verdict, evidence])),
  );
  return [
    '# Reviews, from the monolith to its service',
    '',
    faults.length === 0 ? 'All went well.' : `**It did not go well:** ${faults.join('; ')}.`,
    '',
    `- clients: ${ledgerText(total)}`,
    `- the service was killed amid the ramp: its reads were back on legacy after ${healedMs === undefined ? 'no time that was seen' : `${Math.round(healedMs)} ms`}`,
    '',
    '## What was done',
    '',
    row(['at', 'took', 'what', 'command', 'end', 'clients meanwhile']),
    row(['---', '---', '---', '---', '---', '---']),
    ...chapters.map(({ atMs, tookMs, title, command, end, ledger }) =>
      row([
        clock(atMs),
        `${(tookMs / 1_000).toFixed(1)} s`,
        title,
        `\`${command}\``,
        end,
        `${ledger.requests} requests, ${ledger.failures} failures, slowest ${ledger.slowestMs} ms`,
      ]),
    ),
    '',
    '## What each gate saw',
    '',
    row(['step', 'gate', 'verdict', 'what it saw']),
    row(['---', '---', '---', '---']),
    ...gates,
    '',
  ].join('\n');
}

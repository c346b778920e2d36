// One change of the owner, struck by faults, mended, and brought to its end by the same command.
import { setTimeout as delay } from 'node:timers/promises';
import { steps } from '../test/story/owner-steps.ts';
import type { Cli, RunningCommand } from '../test/story/stack.ts';
import type { House } from './house.ts';
import type { Need } from './incidents.ts';
import type { Leg } from './route.ts';
import { otherSide, type Side } from './sides.ts';
import { type StackFaultKind, stackFaults } from './stack-faults.ts';

export type Walk = {
  readonly house: House;
  readonly played: (fault: StackFaultKind) => void;
  readonly begins: (fault: string, hits: readonly Need[]) => () => void;
  /** How the owner stands from now on. */
  readonly owned: (owners: readonly Side[]) => void;
};

export type Walked = {
  /** What is wrong, in words. */
  readonly reasons: readonly string[];
  /** How the command ended that was struck; its code is -1 when it was killed. */
  readonly struck: Cli;
  readonly mended: Cli;
};

const waitSeconds = 15;
const mendSeconds = 90;
const endMsMax = 120_000;
/** Long enough that a fault has struck before the statement goes on its way. */
const strikeMs = 30;

const moves = { service: 'cutover', legacy: 'rollback' } as const;
const words = (to: Side, seconds: number) => [
  moves[to],
  'reviews',
  '--execute',
  ...['--wait', String(seconds)],
  // Reads that legacy answered because the service was killed are no reason to wait; that the nightly batch writes is known.
  ...(to === 'service' ? ['--override', 'reads,writers', '--reason', 'drill'] : []),
];

/** What is said to X on the way there is said to Y on the way back; the control store is a place of its own. */
function relayOf(house: House, on: (typeof steps)[number]['on'], to: Side) {
  const swapped = { legacy: 'services', services: 'legacy', control: 'control' } as const;
  return house.commandRelays[to === 'service' ? on : swapped[on]];
}

/** @returns once it has struck, or the command has ended before */
async function strikeAt(
  { house }: Walk,
  { at, blows }: Leg<StackFaultKind>,
  to: Side,
  command: RunningCommand,
  strike: () => Promise<void>,
): Promise<void> {
  const step = steps.find((each) => at.is === 'step' && each.step === at.step);
  if (at.is !== 'step' || !step) return strike();
  const relay = relayOf(house, step.on, to);
  let struck: Promise<void> | undefined;
  const now = () => {
    struck ??= strike();
  };
  if (blows[0]?.fault === 'command killed') {
    const lost = relay.loseAtPart(step.words, at.lose, now);
    await Promise.race([lost, command.ended]);
  } else {
    const held = relay.holdAtPart(step.words, at.lose === 'request' ? now : undefined);
    await Promise.race([held.sprung, command.ended]);
    if (at.lose === 'request') await Promise.race([delay(strikeMs), struck]);
    held.release();
  }
  relay.disarm();
  now();
  await struck;
}

async function strike(walk: Walk, leg: Leg<StackFaultKind>, to: Side): Promise<RunningCommand> {
  const { house } = walk;
  const [first, ...others] = leg.blows;
  let command: RunningCommand | undefined;
  const play = async ({ fault, lastingMs }: (typeof leg.blows)[number]) => {
    walk.played(fault);
    const stage = { house, command, begins: (hits: readonly Need[]) => walk.begins(fault, hits) };
    await stackFaults[fault](stage, lastingMs);
  };
  // A command that is to be struck must be there.
  const isQuiet = leg.at.is === 'quiet' && first !== undefined && !first.fault.startsWith('command');
  const playedBefore = isQuiet ? play(first) : undefined;
  walk.owned(['legacy', 'service']);
  const started = house.start(...words(to, waitSeconds));
  command = started;
  if (playedBefore) await playedBefore;
  else if (first) await strikeAt(walk, leg, to, started, () => play(first));
  for (const blow of others) {
    await delay(blow.afterMs);
    await play(blow);
  }
  return started;
}

const isDefect = (stderr: string) => /^\s+at .+:\d+:\d+\)?$/m.test(stderr);

/** @returns what is wrong with where it has come */
async function look({ house }: Walk, to: Side): Promise<string[]> {
  const reasons: string[] = [];
  const rows = await Promise.all(
    (['legacy', 'service'] as const).map(async (side) => {
      const [row] = await house.servers[side].query(
        "SELECT owner, epoch, turn_id FROM banyan.banyan_fence WHERE capability = 'reviews'",
      );
      return { side, owner: String(row?.owner), epoch: String(row?.epoch), turn: row?.turn_id ?? null };
    }),
  );
  if (rows.some(({ owner, epoch, turn }) => owner !== to || epoch !== rows[0]?.epoch || turn !== null))
    reasons.push(`the fences say ${JSON.stringify(rows)}, and ${to} should own`);
  const { code, stdout, stderr } = await house.banyan('status');
  if (code !== 0) return [...reasons, `banyan status ended with ${code}: ${stdout}${stderr}`];
  const told: { capabilities: { name: string; phase: string }[] } = JSON.parse(stdout);
  const phase = told.capabilities.find(({ name }) => name === 'reviews')?.phase;
  if (phase !== (to === 'service' ? 'owned' : 'reads')) reasons.push(`the phase is ${phase}, and ${to} owns`);
  return reasons;
}

/** @param from who owns now */
export async function walk(on: Walk, leg: Leg<StackFaultKind>, from: Side): Promise<Walked> {
  const to = otherSide(from);
  const reasons: string[] = [];
  const struck = await strike(on, leg, to);
  const late = setTimeout(() => {
    reasons.push(`the command that was struck has not ended within ${endMsMax} ms`);
    struck.kill('SIGKILL');
  }, endMsMax);
  const first = await struck.ended;
  clearTimeout(late);
  if ([2, 6].includes(first.code) || isDefect(first.stderr))
    reasons.push(`the command that was struck ended with ${first.code}: ${first.stdout}${first.stderr}`);
  const mended = await on.house.banyan(...words(to, mendSeconds));
  if (mended.code !== 0)
    reasons.push(
      `banyan ${moves[to]} --wait ${mendSeconds}, with nothing in its way, ended with ${mended.code}: ${mended.stdout}${mended.stderr}`,
    );
  reasons.push(...(await look(on, to)));
  on.owned([to]);
  return { reasons, struck: first, mended };
}

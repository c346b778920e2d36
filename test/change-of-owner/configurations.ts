// What is explored: who takes part, and what may fail. Every command begins at any moment, or never.
import type { Config } from './scene.ts';
import type { Guard, S } from './sql-steps.ts';

const forward = (attempts = 1) => ({ to: 1 as S, attempts });
const back = (attempts = 1) => ({ to: 0 as S, attempts });

/** Each explored to its end by `npm test`. */
export const proofs: readonly Config[] = [
  {
    name: 'two facades; a cutover, run twice; answers lost',
    facades: 2,
    coordinators: [forward(2)],
    writes: 1,
    lost: true,
  },
  {
    name: 'a facade; a cutover, run twice; answers lost, interrupts',
    facades: 1,
    coordinators: [forward(2)],
    writes: 1,
    lost: true,
    giveUp: true,
  },
  {
    name: 'two facades that die and boot; a cutover',
    facades: 2,
    coordinators: [forward()],
    writes: 1,
    crash: true,
  },
  {
    name: 'a facade that dies and boots; a cutover and a rollback',
    facades: 1,
    coordinators: [forward(), back()],
    writes: 1,
    crash: true,
  },
  {
    name: 'a facade, two writes; a cutover and a rollback',
    facades: 1,
    coordinators: [forward(), back()],
    writes: 2,
  },
  {
    name: 'cron on both sides, two writes; a cutover and a rollback; a paused worker; sessions that stay',
    facades: 0,
    coordinators: [forward(), back()],
    writes: 2,
    bypass: [0, 1],
    zombie: true,
    lingering: true,
  },
  {
    name: 'cron with XA; two cutovers; answers lost',
    facades: 0,
    coordinators: [forward(), forward()],
    writes: 1,
    bypass: [0],
    xa: true,
    lost: true,
  },
  {
    name: 'cron on both sides, two writes; a cutover run twice and a rollback; a clock set back',
    facades: 0,
    coordinators: [forward(2), back()],
    writes: 2,
    bypass: [0, 1],
    clockBack: true,
  },
];

/** By `npm run test:full`; the last as far as its bound. */
export const longProofs: readonly Config[] = [
  {
    name: 'two facades; a cutover and a rollback',
    facades: 2,
    coordinators: [forward(), back()],
    writes: 1,
  },
  {
    name: 'two facades; a cutover, run twice; answers lost, interrupts',
    facades: 2,
    coordinators: [forward(2)],
    writes: 1,
    lost: true,
    giveUp: true,
  },
  {
    name: 'cron with XA, two writes; two cutovers; a paused worker; answers lost',
    facades: 0,
    coordinators: [forward(), forward()],
    writes: 2,
    bypass: [0],
    zombie: true,
    lost: true,
    xa: true,
  },
  {
    name: 'cron on both sides, two writes; two cutovers and a rollback; a paused worker',
    facades: 0,
    coordinators: [forward(), forward(), back()],
    writes: 2,
    bypass: [0, 1],
    zombie: true,
  },
  {
    name: 'all together',
    facades: 2,
    coordinators: [forward(2), back()],
    writes: 2,
    bypass: [0, 1],
    zombie: true,
    lost: true,
    crash: true,
    giveUp: true,
    xa: true,
    lingering: true,
  },
];

const cron = { facades: 0, coordinators: [forward(), forward()], writes: 1, bypass: [0] } as const;
const cronAndBack = {
  facades: 0,
  coordinators: [forward(), forward(), back()],
  writes: 1,
  bypass: [0, 1],
} as const;
const paused = {
  facades: 0,
  coordinators: [forward(), back()],
  writes: 2,
  bypass: [0, 1],
  zombie: true,
} as const;
const oneFacade = { facades: 1, coordinators: [forward(), forward()], writes: 1 } as const;
const twoFacades = { facades: 2, coordinators: [forward()], writes: 1 } as const;
const lost = { facades: 1, coordinators: [forward(2)], writes: 1, lost: true, giveUp: true } as const;

type Mutant = Omit<Config, 'name' | 'without'> & { readonly without: readonly Guard[] };

/** Without these something breaks. */
export const needed: readonly Mutant[] = [
  { ...cron, without: ['shared lock in the trigger'] },
  { ...oneFacade, without: ['deadline in close'] },
  { ...cron, xa: true, without: ['deadline in close'] },
  { ...cron, xa: true, without: ['turn id in close'] },
  { ...cron, xa: true, without: ['XA RECOVER'] },
  { ...twoFacades, without: ['hold in turn'] },
  { ...cron, xa: true, without: ['only the applier opens'] },
  {
    ...cron,
    coordinators: [forward(), back()],
    bypass: [0, 1],
    clockBack: true,
    without: ['only the applier opens'],
  },
  { ...paused, without: ['position compare-and-set'] },
  { ...paused, upserts: true, without: ['position compare-and-set'] },
  { ...paused, upserts: true, without: ['position never falls'] },
  { ...paused, without: ['marker'] },
  { ...paused, without: ['position with the rows'] },
  { ...paused, without: ['position after the rows'] },
  {
    ...cron,
    coordinators: [forward(), back()],
    bypass: [0, 1],
    lingering: true,
    without: ['opening ends sessions in its way'],
  },
  { ...twoFacades, without: ['every replica acknowledges'] },
  { ...twoFacades, without: ['nothing in flight when acknowledging'] },
  { ...twoFacades, without: ['facade reads the fence'] },
  { ...oneFacade, without: ['hold read before the fence'] },
  { ...twoFacades, without: ['own row names the side'] },
  { ...oneFacade, coordinators: [forward()], crash: true, without: ['boot reads'] },
  { ...oneFacade, coordinators: [forward()], crash: true, without: ['boot registers first'] },
  { ...lost, without: ['last look waits for a turn'] },
  { ...cron, bypass: [], writes: 0, coordinators: [forward(2), back()], without: ['pinned epoch'] },
];

/** Second lines: why nothing breaks without one alone, and with what else gone it does. */
export const secondLines: readonly {
  readonly alone: Mutant;
  readonly why: string;
  readonly with?: Mutant;
}[] = [
  {
    alone: { ...cron, without: ['SYSDATE in close'] },
    why: 'a write that slips in before a close with an old clock lies before the close row, and opening waits for that',
    with: { ...cron, without: ['SYSDATE in close', 'only the applier opens'] },
  },
  {
    alone: { ...cron, without: ['turn id in close'] },
    why: 'without XA, writes between two turns lie before the close row, and opening waits for that',
    with: { ...cron, without: ['turn id in close', 'only the applier opens'] },
  },
  {
    alone: { ...cron, without: ['deadline in close'] },
    why: 'without XA and without facades, late writes lie before the close row',
    with: { ...cronAndBack, without: ['deadline in close', 'only the applier opens'] },
  },
  {
    alone: { ...cron, lost: true, without: ['epoch in close'] },
    why: 'the turn id is never used again',
    with: {
      ...cronAndBack,
      coordinators: [forward(2), back()],
      lost: true,
      without: ['epoch in close', 'turn id in close', 'deadline in close'],
    },
  },
  {
    alone: { ...oneFacade, coordinators: [forward(), back()], without: ['epoch in turn'] },
    why: "the hold's id is never used again",
    with: {
      ...oneFacade,
      coordinators: [forward(), back()],
      without: ['epoch in turn', 'hold in turn'],
    },
  },
  {
    alone: { ...paused, writes: 1, without: ['epoch in open'] },
    why: 'only the applier opens, and its position is compare-and-set',
    with: { ...cronAndBack, without: ['epoch in open', 'only the applier opens'] },
  },
  {
    alone: { ...paused, writes: 1, without: ['look at the target fence'] },
    why: 'for the stream the position says enough; backfill and repair have their own test',
    with: {
      ...paused,
      upserts: true,
      without: ['look at the target fence', 'position never falls'],
    },
  },
  {
    alone: { ...cronAndBack, coordinators: [forward(), back()], without: ['only the applier opens'] },
    why: 'with clocks that go forward only and no XA, drain and deadline do the same',
    with: { ...cron, xa: true, without: ['only the applier opens'] },
  },
  {
    alone: { ...lost, without: ['lost close is read back'] },
    why: 'undoing ends the turn, and its last look at the fences waits for a turn in force',
    with: { ...lost, without: ['lost close is read back', 'last look waits for a turn'] },
  },
  {
    alone: { ...paused, writes: 1, without: ['drain'] },
    why: 'it only makes the time between close and open short',
  },
];

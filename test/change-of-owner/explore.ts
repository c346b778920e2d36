// Breadth first through every state that can be reached: the first fault found has a shortest trace. Then backwards:
// from every state the system goes on by itself, and a coordinator that is alive ends.
import { coordinatorMoves } from './coordinator-moves.ts';
import { Machine } from './decisions.ts';
import { facadeMoves } from './facade-moves.ts';
import { accepts, type Config, type Kind, type Scene } from './scene.ts';
import { nothing } from './sql-steps.ts';
import { workerMoves, zombieMoves } from './worker-moves.ts';
import { decode, down, encode, firstWorld, sending, type World } from './world.ts';
import { clockMoves, cronMoves, orphanMoves } from './writer-moves.ts';

export type Explored = {
  readonly states: number;
  readonly steps: number;
  /** How coordinators have ended. */
  readonly outcomes: ReadonlySet<string>;
  /** All of them, and not only as many as were asked for. */
  readonly isComplete: boolean;
  readonly fault: { readonly what: string; readonly trace: readonly string[] } | undefined;
};

/** What must hold in every state (DESIGN §7, invariants 1 and 2). */
function faultIn(world: World): string | undefined {
  const [legacy, service] = [accepts(world, 0), accepts(world, 1)];
  if (legacy && service) return 'both sides accept writes';
  for (const side of [0, 1] as const) {
    if (!(side === 0 ? legacy : service)) continue;
    const { bits, value } = world.sides[side];
    if (bits !== 2 ** world.count - 1) return 'a write is not on the owner';
    if (value !== world.count) return 'a row on the owner is stale';
  }
  return undefined;
}

/** One side open, both equal, everything read, no write waiting. */
function isSettled(world: World): boolean {
  const [a, b] = world.sides;
  if (accepts(world, 0) === accepts(world, 1)) return false;
  const owner = accepts(world, 0) ? 0 : 1;
  return (
    a.position === a.log.length &&
    b.position === b.log.length &&
    a.bits === b.bits &&
    a.value === b.value &&
    (world.bypass === 0 || world.bypass === 2) &&
    world.facades.every(
      ({ is, to, held, inFlight }) =>
        is === down || (is === sending && to === owner && held + inFlight === 0),
    )
  );
}

/** Every step that can be taken from a state. */
function allMoves(scene: Scene): void {
  for (const side of [0, 1] as const) {
    clockMoves(scene, side);
    workerMoves(scene, side);
  }
  zombieMoves(scene);
  for (const side of scene.config.bypass ?? []) cronMoves(scene, side);
  for (const index of scene.world.facades.keys()) facadeMoves(scene, index);
  orphanMoves(scene);
  for (const index of scene.world.coordinators.keys()) coordinatorMoves(scene, index);
}

const kinds: Readonly<Record<Kind, number>> = { system: 0, run: 1, fault: 2 };

/** Numbers that grow. */
class Numbers {
  #values = new Int32Array(1 << 16);
  length = 0;

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new Int32Array(this.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length++] = value;
  }

  at(index: number): number {
    return this.#values[index] ?? 0;
  }
}

/** Why a kept hold that is over matters: the mutants that do not look whether it is. */
const keepsOverHolds = ({ without }: Config) => without?.has('hold in turn') ?? false;

class Graph {
  readonly texts: string[] = [];
  readonly #index = new Map<string, number>();
  readonly #parents = new Numbers();
  readonly #reasons = new Numbers();
  readonly labels: string[] = [];
  readonly #labelIndex = new Map<string, number>();
  readonly edgesFrom = new Numbers();
  readonly edgesTo = new Numbers();
  readonly edgeKinds = new Numbers();

  label(text: string): number {
    let index = this.#labelIndex.get(text);
    if (index === undefined) {
      index = this.labels.push(text) - 1;
      this.#labelIndex.set(text, index);
    }
    return index;
  }

  /** @returns the state's number, whether it is new or not */
  add(text: string, parent: number, label: number): number {
    let index = this.#index.get(text);
    if (index === undefined) {
      index = this.texts.push(text) - 1;
      this.#index.set(text, index);
      this.#parents.push(parent);
      this.#reasons.push(label);
    }
    return index;
  }

  trace(to: number): string[] {
    const steps: string[] = [];
    for (let at = to; at > 0; at = this.#parents.at(at))
      steps.unshift(this.labels[this.#reasons.at(at)] ?? '');
    return steps;
  }
}

/** The first state from which no path along edges of these kinds leads to a goal. */
function stuck(graph: Graph, goals: Uint8Array, kindMax: number): number {
  const states = graph.texts.length;
  const starts = new Int32Array(states + 1);
  const edges = graph.edgesTo.length;
  for (let edge = 0; edge < edges; edge++)
    if (graph.edgeKinds.at(edge) <= kindMax) {
      const to = graph.edgesTo.at(edge) + 1;
      starts[to] = (starts[to] ?? 0) + 1;
    }
  for (let at = 0; at < states; at++) starts[at + 1] = (starts[at + 1] ?? 0) + (starts[at] ?? 0);
  const sources = new Int32Array(starts[states] ?? 0);
  const filled = starts.slice();
  for (let edge = 0; edge < edges; edge++)
    if (graph.edgeKinds.at(edge) <= kindMax) {
      const to = graph.edgesTo.at(edge);
      const at = filled[to] ?? 0;
      sources[at] = graph.edgesFrom.at(edge);
      filled[to] = at + 1;
    }
  const reached = goals.slice();
  const queue = new Numbers();
  for (let at = 0; at < states; at++) if (reached[at] === 1) queue.push(at);
  for (let head = 0; head < queue.length; head++) {
    const to = queue.at(head);
    for (let at = starts[to] ?? 0; at < (starts[to + 1] ?? 0); at++) {
      const from = sources[at] ?? 0;
      if (reached[from] === 1) continue;
      reached[from] = 1;
      queue.push(from);
    }
  }
  return reached.indexOf(0);
}

/** @param statesMax by count and not by clock: the same on every machine */
export function explore(config: Config, statesMax: number): Explored {
  const machine = new Machine();
  const graph = new Graph();
  const { facades } = config;
  const coordinators = config.coordinators.length;
  const keeps = keepsOverHolds(config);
  graph.add(encode(firstWorld(facades, coordinators, config.writes), keeps), -1, -1);
  let fault: Explored['fault'];
  let expanded = 0;
  for (; expanded < graph.texts.length && graph.texts.length < statesMax && !fault; expanded++) {
    const text = graph.texts[expanded] ?? '';
    const at = expanded;
    allMoves({
      config,
      machine,
      without: config.without ?? nothing,
      world: decode(text, facades, coordinators),
      copy: () => decode(text, facades, coordinators),
      emit: (kind, words, world, what) => {
        if (fault) return;
        const label = graph.label(words);
        const found = what ?? faultIn(world);
        if (found) {
          fault = { what: found, trace: [...graph.trace(at), words] };
          return;
        }
        const to = graph.add(encode(world, keeps), at, label);
        if (to === at) return;
        graph.edgesFrom.push(at);
        graph.edgesTo.push(to);
        graph.edgeKinds.push(kinds[kind]);
      },
    });
  }
  const states = graph.texts.length;
  const isComplete = expanded === states;
  if (!fault) fault = stuckFault(graph, machine, config, expanded);
  return { states, steps: graph.edgesTo.length, outcomes: machine.outcomes, isComplete, fault };
}

/** Invariant 5, twice: with no coordinator alive, and with each one that was begun going on to its end. */
function stuckFault(graph: Graph, machine: Machine, config: Config, expanded: number): Explored['fault'] {
  const states = graph.texts.length;
  const alone = new Uint8Array(states);
  const ended = new Uint8Array(states);
  for (let at = 0; at < states; at++) {
    // What lies beyond the bound is not known, and counts as well.
    const world = decode(graph.texts[at] ?? '', config.facades, config.coordinators.length);
    const isBeyond = at >= expanded;
    const isSettledHere = isSettled(world);
    alone[at] = isBeyond || isSettledHere ? 1 : 0;
    const allEnded = world.coordinators.every(
      ({ state }) => state === 0 || machine.stateOf(state).at === 'ended',
    );
    ended[at] = isBeyond || (isSettledHere && allEnded) ? 1 : 0;
  }
  const withoutHelp = stuck(graph, alone, kinds.system);
  if (withoutHelp >= 0)
    return { what: 'the system does not go on by itself', trace: graph.trace(withoutHelp) };
  const without = stuck(graph, ended, kinds.run);
  return without >= 0 ? { what: 'a coordinator does not end', trace: graph.trace(without) } : undefined;
}

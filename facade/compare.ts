// Two answers to one request, legacy's and the service's in legacy's words: where they differ, bounded in work and in words. Pure.
import { Marks, parseJsonPath } from '../capability/json-path.ts';
import { type CompareLimits, type Difference, OutOfBounds, parseExactly, Walk } from './compare-json.ts';
import { firstOf, type HeaderList, valuesOf } from './headers.ts';
import { shapeOf } from './redact.ts';

export type ComparedAnswer = {
  readonly status: number;
  readonly headers: HeaderList;
  /** Undefined where there is none to compare: HEAD, 304. */
  readonly text: string | undefined;
};

/** What a route declares of its comparison, prepared once. */
export type CompareRules = {
  readonly marks: Marks;
  /** Lower-case names. */
  readonly headers: readonly string[];
  /** Whether the order of an object's keys is part of legacy's manner. */
  readonly ordered: boolean;
};

export type Compared = {
  /** One for each path and kind. */
  readonly differences: readonly Difference[];
  /** False: a limit was met, and what was not looked at may differ, too. */
  readonly isWhole: boolean;
};

export const usualLimits: CompareLimits = { nodesMax: 10_000, differencesMax: 20, depthMax: 64 };

/** Of a route's declaration, whose patterns load-config has judged. */
export function rulesOf(
  declared:
    | {
        readonly ignore?: readonly string[];
        readonly redact?: readonly string[];
        readonly show?: readonly string[];
        readonly headers?: readonly string[];
      }
    | undefined,
  ordered: boolean,
): CompareRules {
  const marks = new Marks();
  for (const mark of ['ignore', 'redact', 'show'] as const)
    for (const pattern of declared?.[mark] ?? []) {
      const segments = parseJsonPath(pattern);
      if (segments) marks.add(segments, mark);
    }
  const more = (declared?.headers ?? []).map((name) => name.toLowerCase());
  return { marks, headers: [...new Set([...shownHeaders, 'location', ...more])], ordered };
}

/** Their values are the manner of a system, and nobody's data. */
const shownHeaders: readonly string[] = ['content-type', 'cache-control'];

type Parsed = { readonly is: 'json'; readonly value: unknown } | { readonly is: 'text' };

function parse(text: string): Parsed {
  try {
    return { is: 'json', value: parseExactly(text) };
  } catch {
    return { is: 'text' };
  }
}

function compareBodies(legacy: string, service: string, { marks }: CompareRules, walk: Walk): void {
  if (legacy === service) return;
  const [ours, theirs] = [parse(legacy), parse(service)];
  if (ours.is === 'json' && theirs.is === 'json') {
    walk.compare(ours.value, theirs.value, marks);
    return;
  }
  if (marks.own === 'ignore') return;
  const shown = (parsed: Parsed, text: string) =>
    `${parsed.is === 'json' ? 'JSON' : 'no JSON'}, ${shapeOf(text, marks.own === 'show' ? undefined : marks.own)}`;
  walk.note('$', ours.is === theirs.is ? 'value' : 'type', shown(ours, legacy), shown(theirs, service));
}

function compareHeaders(legacy: HeaderList, service: HeaderList, names: readonly string[], walk: Walk): void {
  for (const name of names) {
    const [ours, theirs] = [valuesOf(legacy, name).join(', '), valuesOf(service, name).join(', ')];
    if (ours === theirs) continue;
    const show = (value: string, list: HeaderList) =>
      firstOf(list, name) === undefined
        ? 'nothing'
        : shapeOf(value, shownHeaders.includes(name) ? 'show' : undefined);
    walk.note(`(header ${name})`, 'header', show(ours, legacy), show(theirs, service));
  }
}

/** Where two answers differ: by status, or else by headers that matter and by the places of their bodies. */
export function compareAnswers(
  legacy: ComparedAnswer,
  service: ComparedAnswer,
  rules: CompareRules,
  limits: CompareLimits = usualLimits,
): Compared {
  const walk = new Walk(limits, rules.ordered);
  let isWhole = true;
  try {
    if (legacy.status !== service.status)
      walk.note('(status)', 'status', String(legacy.status), String(service.status));
    else {
      compareHeaders(legacy.headers, service.headers, rules.headers, walk);
      if (legacy.text !== undefined && service.text !== undefined)
        compareBodies(legacy.text, service.text, rules, walk);
    }
  } catch (error) {
    if (!(error instanceof OutOfBounds)) throw error;
    isWhole = false;
  }
  return { differences: [...walk.differences.values()], isWhole };
}

/** All of a list: where an item moves, the others may stand elsewhere. */
const wholeOf = (path: string) => path.split('[*]', 1)[0] ?? path;
const isBelow = (path: string, above: string) =>
  path.startsWith(above) && /^[.[]/.test(path.slice(above.length));

/**
 * Where one side's answers to one request differ from one time to the next: whoever follows that side may not have what is there yet.
 * @returns whether it is so at a difference's path, above it or below
 */
export function movedBetween(
  before: ComparedAnswer,
  now: ComparedAnswer,
  rules: CompareRules,
): (path: string) => boolean {
  const { differences, isWhole } = compareAnswers(before, now, rules);
  if (!isWhole || differences.some(({ kind }) => kind === 'status')) return () => true;
  const moved = differences.map(({ path }) => wholeOf(path));
  return (path) => {
    const place = wholeOf(path);
    return moved.some((each) => each === place || isBelow(place, each) || isBelow(each, place));
  };
}

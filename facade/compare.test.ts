// The comparison of two answers: exact about where and how they differ, bounded whatever comes, and silent about values.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type ComparedAnswer, compareAnswers, movedBetween, rulesOf, usualLimits } from './compare.ts';

const headers = ['content-type', 'application/json', 'cache-control', 'no-cache'];
const answer = (body: unknown, more: Partial<ComparedAnswer> = {}): ComparedAnswer => ({
  status: 200,
  headers,
  text: JSON.stringify(body),
  ...more,
});
const plain = rulesOf(undefined, false);
const said = (legacy: unknown, service: unknown, rules = plain) =>
  compareAnswers(answer(legacy), answer(service), rules).differences.map(
    ({ kind, path }) => `${kind} ${path}`,
  );

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
const key = fc.stringMatching(/^[a-z]{1,4}$/);
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.string(),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(key, tie('json'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

test('the same value differs nowhere, in whatever order its keys stand', () => {
  const shuffled = (value: Json): Json =>
    Array.isArray(value)
      ? value.map(shuffled)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([name, each]) => [name, shuffled(each)]),
          )
        : value;
  fc.assert(
    fc.property(json, (value) => {
      expect(said(value, shuffled(value))).toEqual([]);
    }),
  );
});

/** Every place of a value, with what leads there. */
function placesIn(value: Json, steps: (string | number)[] = []): (string | number)[][] {
  const below: [string | number, Json][] = Array.isArray(value)
    ? [...value.entries()]
    : typeof value === 'object' && value !== null
      ? Object.entries(value)
      : [];
  return [steps, ...below.flatMap(([step, each]) => placesIn(each, [...steps, step]))];
}
const pathOf = (steps: (string | number)[]) =>
  `$${steps.map((step) => (typeof step === 'number' ? '[*]' : `.${step}`)).join('')}`;
const at = (value: Json, steps: (string | number)[]): Json =>
  steps.reduce<Json>((inner, step) => {
    if (Array.isArray(inner) && typeof step === 'number') return inner[step] ?? null;
    return typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? (inner[step] ?? null)
      : null;
  }, value);
function put(value: Json, steps: (string | number)[], made: Json): Json {
  const [step, ...rest] = steps;
  if (step === undefined) return made;
  if (Array.isArray(value) && typeof step === 'number')
    return value.map((each, index) => (index === step ? put(each, rest, made) : each));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return { ...value, [step]: put(value[step] ?? null, rest, made) };
}

test('one change shows at exactly its path and as what it is', () => {
  fc.assert(
    fc.property(json, fc.nat(), fc.nat(), (value, pick, what) => {
      const places = placesIn(value);
      const steps = places[pick % places.length] ?? [];
      const found = at(value, steps);
      const path = pathOf(steps);
      const expectOne = (made: Json, kind: string, where: string) =>
        expect(said(value, put(value, steps, made))).toEqual([`${kind} ${where}`]);
      if (Array.isArray(found)) {
        const [first, second] = found;
        if (what % 3 === 0) expectOne([...found, 'appended'], 'extra', `${path}[*]`);
        else if (what % 3 === 1 && first !== undefined) expectOne(found.slice(1), 'missing', `${path}[*]`);
        else if (first !== undefined && second !== undefined && said(first, second).length > 0)
          expectOne([second, first, ...found.slice(2)], 'order', path);
      } else if (typeof found === 'object' && found !== null) {
        const [name] = Object.keys(found);
        if (what % 2 === 0) expectOne({ ...found, toomuch: 1 }, 'extra', `${path}.toomuch`);
        else if (name !== undefined) {
          const { [name]: _gone, ...rest } = found;
          expectOne(rest, 'missing', `${path}.${name}`);
        }
      } else if (what % 2 === 0 || found === null) expectOne([found], 'type', path);
      else if (typeof found === 'number') expectOne(found + 1, 'value', path);
      else if (typeof found === 'string') expectOne(`${found}.`, 'value', path);
      else expectOne(!found, 'value', path);
    }),
    { numRuns: 500 },
  );
});

test('work and words are bounded, whatever is sent', () => {
  const deep = (inner: string, depth: number) => '['.repeat(depth) + inner + ']'.repeat(depth);
  const began = performance.now();
  const hostile = compareAnswers(
    answer(0, { text: deep('1', 50_000) }),
    answer(0, { text: deep('2', 50_000) }),
    plain,
  );
  expect(hostile).toEqual({ differences: [], isWhole: false });
  const wide = Array.from({ length: 100_000 }, (_, index) => ({ a: index, b: [index] }));
  const other = wide.map(({ a }) => ({ a: a + 1, b: [] }));
  expect(compareAnswers(answer(wide), answer(other), plain).isWhole).toBe(false);
  const keys = (from: number) =>
    Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`k${from + n}`, n]));
  const many = compareAnswers(answer(keys(0)), answer(keys(10_000)), plain);
  expect(many.differences).toHaveLength(usualLimits.differencesMax);
  expect(many.isWhole).toBe(false);
  expect(performance.now() - began).toBeLessThan(10_000);
});

test('the order of keys counts where it is the manner of legacy, that of items always', () => {
  const [one, other] = [{ list: [{ a: 1, b: 2 }] }, { list: [{ b: 2, a: 1 }] }];
  expect(said(one, other)).toEqual([]);
  expect(said(one, other, rulesOf(undefined, true))).toEqual(['order $.list[*]']);
  expect(said({ list: [1, 2, 3, 4] }, { list: [1, 3, 2, 4] })).toEqual(['order $.list']);
});

test('what is declared to be ignored is not looked at, nor does it make items differ', () => {
  const rules = rulesOf({ ignore: ['$.list[*].viewCnt', '$.at', '$.by.*.at'] }, false);
  const page = (viewCnt: number, at: string) => ({
    at,
    list: [
      { id: 1, viewCnt },
      { id: 2, viewCnt },
    ],
    by: { x: { at } },
  });
  expect(said(page(1, 'a'), page(2, 'b'), rules)).toEqual([]);
  expect(
    said(
      page(1, 'a'),
      {
        ...page(2, 'b'),
        list: [
          { id: 2, viewCnt: 5 },
          { id: 1, viewCnt: 6 },
        ],
      },
      rules,
    ),
  ).toEqual(['order $.list']);
  expect(said({ at: 1 }, {}, rules)).toEqual([]);
});

test('status, headers that matter, and bodies that are no JSON', () => {
  const differ = (
    legacy: ComparedAnswer,
    service: ComparedAnswer,
    declared?: Parameters<typeof rulesOf>[0],
  ) => compareAnswers(legacy, service, rulesOf(declared, false)).differences;
  expect(differ(answer(1, { status: 200 }), answer(2, { status: 404 }))).toEqual([
    { path: '(status)', kind: 'status', legacy: '200', service: '404' },
  ]);
  const other = ['Content-Type', 'text/html', 'cache-control', 'no-cache', 'x-shop', 'kim@example.com'];
  expect(differ(answer(1), answer(1, { headers: other }), { headers: ['X-Shop'] })).toEqual([
    { path: '(header content-type)', kind: 'header', legacy: '"application/json"', service: '"text/html"' },
    { path: '(header x-shop)', kind: 'header', legacy: 'nothing', service: 'text of 15 (a .)' },
  ]);
  expect(differ(answer(1), answer(1, { text: '<p>' }))).toMatchObject([{ path: '$', kind: 'type' }]);
  expect(differ(answer(1, { text: undefined }), answer(2))).toEqual([]);
  // Numbers that a double cannot tell apart.
  expect(
    differ(answer(0, { text: '9007199254740993' }), answer(0, { text: '9007199254740992' })),
  ).toMatchObject([{ path: '$', kind: 'value' }]);
});

test('no value is ever said, nor a key that may be one, but what the route shows', () => {
  const secret = 'kim@example.com';
  const body = (n: number) => ({
    name: `${secret}${n}`,
    phone: 1_012_345_678 + n,
    byMail: { [secret]: n },
    byId: { kim: { points: n } },
    code: `000${n}`,
    list: n === 1 ? [secret] : [],
  });
  const rules = rulesOf({ show: ['$.code'], redact: ['$.byId'] }, false);
  const { differences } = compareAnswers(answer(body(1)), answer(body(2)), rules);
  const text = JSON.stringify(differences);
  for (const raw of [secret, '1012345679', '1012345680', 'kim']) expect(text).not.toContain(raw);
  expect(differences).toContainEqual({ path: '$.code', kind: 'value', legacy: '"0001"', service: '"0002"' });
  expect(differences).toContainEqual({
    path: '$.byMail.*',
    kind: 'value',
    legacy: 'number of 1 digits',
    service: 'number of 1 digits',
  });
  expect(differences).toContainEqual({
    path: '$.byId.*.*',
    kind: 'value',
    legacy: 'redacted number',
    service: 'redacted number',
  });
  expect(differences).toContainEqual({
    path: '$.list[*]',
    kind: 'missing',
    legacy: 'text of 15 (a .)',
    service: 'nothing',
  });
});

test('what has moved from one answer to the next: its place, what is above and below it, and all of a list', () => {
  const moved = (before: unknown, now: unknown) => {
    const hasMoved = movedBetween(answer(before), answer(now), plain);
    const places = ['$', '$.a', '$.a.b', '$.ab', '$.list', '$.list[*].id', '$.list[*]', '(header location)'];
    return places.filter(hasMoved);
  };
  const value = { a: { b: 1 }, ab: 1, list: [{ id: 1 }] };
  expect(moved(value, value)).toEqual([]);
  expect(moved(value, { ...value, a: { b: 2 } })).toEqual(['$', '$.a', '$.a.b']);
  expect(moved(value, { ...value, a: 2 })).toEqual(['$', '$.a', '$.a.b']);
  expect(moved(value, { ...value, ab: 2 })).toEqual(['$', '$.ab']);
  expect(moved(value, { ...value, list: [{ id: 2 }, { id: 1 }] })).toEqual([
    '$',
    '$.list',
    '$.list[*].id',
    '$.list[*]',
  ]);
  expect(movedBetween(answer(value), answer(value, { status: 404 }), plain)('$.a')).toBe(true);
  // What was not looked at may have moved.
  const wide = (n: number) => Array.from({ length: 30 }, (_, index) => [`k${index}`, n]);
  const many = movedBetween(answer(Object.fromEntries(wide(1))), answer(Object.fromEntries(wide(2))), plain);
  expect(many('$.other')).toBe(true);
});

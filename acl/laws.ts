// The two laws of a translator, stated as properties over values generated from its declared columns. For
// test suites: fast-check is the caller's.
import type fc from 'fast-check';
import type { Codec } from './codecs.ts';
import { type Domain, outside, type Value } from './domain.ts';
import type { Row, RowTranslator, TargetDeclaration } from './translator.ts';

type FastCheck = typeof fc;

export type LawParameters = { seed: number; numRuns: number } | Record<string, never>;

/** Values inside a domain, its edges among them. */
export function valuesOf(check: FastCheck, domain: Domain): fc.Arbitrary<Value> {
  switch (domain.kind) {
    case 'any':
      return check.oneof(check.constant(null), check.integer(), check.string());
    case 'oneOf':
      return check.constantFrom(...domain.values);
    case 'integer':
      return check.integer({ min: domain.min, max: domain.max });
    case 'digits':
      return check.bigInt({ min: domain.min, max: domain.max }).map(String);
    case 'decimal': {
      const { precision, scale } = domain;
      const max = 10n ** BigInt(precision) - 1n;
      return check.bigInt({ min: -max, max }).map((units) => {
        const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
        const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
        return units < 0n ? `-${text}` : text;
      });
    }
    case 'text': {
      const { repertoire, lengthMax, lengthMin = 0 } = domain;
      const character = check
        .oneof(
          check.integer({ min: 0x20, max: 0x7e }),
          check.integer({ min: 0xac00, max: 0xd7a3 }),
          check.constantFrom(0x20, 0x26, 0x23, 0x3b, 0x2c, 0x0a, 0x0d, 0x09, 0x27, 0x22, 0x5c, 0xae, 0x20ac),
          check.integer({ min: 0x80, max: 0xffff }),
          check.integer({ min: 0x1f300, max: 0x1f64f }),
        )
        .filter((codePoint) => repertoire.holds(codePoint))
        .map((codePoint) => String.fromCodePoint(codePoint));
      // References as people paste them: to what the set holds, to what it does not, and broken ones.
      const piece = check.oneof(
        { weight: 20, arbitrary: character },
        {
          weight: 1,
          arbitrary: check.constantFrom(
            '&#128512;',
            '&#65;',
            '&#x41;',
            '&#0128512;',
            '&#',
            '&#99999999;',
            '&amp;',
          ),
        },
      );
      return check
        .array(piece, { minLength: lengthMin, maxLength: Math.min(lengthMax, 60) })
        .map((pieces) => pieces.join(''))
        .filter((text) => outside(domain, text) === undefined);
    }
    case 'seconds':
      return check
        .oneof(
          check.integer({ min: domain.min, max: domain.max }),
          check.integer({ min: Math.max(domain.min, 0), max: 4_102_444_800 }),
        )
        .map((seconds) => domain.format.write(seconds));
    case 'list':
      return check.array(valuesOf(check, domain.item) as fc.Arbitrary<string>, {
        maxLength: domain.itemsMax,
      });
    case 'either':
      return check.oneof(
        { weight: 1, arbitrary: check.constant(domain.value) },
        { weight: 4, arbitrary: valuesOf(check, domain.or) },
      );
  }
}

/** Values of one side that the codec itself accepts (a skipped hour, say, is inside the column and is refused). */
function accepted(check: FastCheck, codec: Codec, side: 'legacy' | 'model'): fc.Arbitrary<Value> {
  return valuesOf(check, codec[side]).filter((value) => {
    try {
      codec[side === 'legacy' ? 'forward' : 'back'](value);
      return true;
    } catch {
      return false;
    }
  });
}

const rowOf = (
  check: FastCheck,
  columns: ReadonlyMap<string, Codec>,
  side: 'legacy' | 'model',
): fc.Arbitrary<Row> =>
  check.record(Object.fromEntries([...columns].map(([name, codec]) => [name, accepted(check, codec, side)])));

/** `back(forward(x)) = x` and `forward(back(y)) = y`. @throws with the counterexample and its seed */
export function checkCodecLaws(check: FastCheck, codec: Codec, parameters: LawParameters = {}): void {
  const inside = (domain: Domain, value: Value) => outside(domain, value) === undefined;
  check.assert(
    check.property(accepted(check, codec, 'legacy'), (value) => {
      const model = codec.forward(value);
      return inside(codec.model, model) && same(codec.back(model), value);
    }),
    parameters,
  );
  check.assert(
    check.property(accepted(check, codec, 'model'), (value) => {
      const legacy = codec.back(value);
      return inside(codec.legacy, legacy) && same(codec.forward(legacy), value);
    }),
    parameters,
  );
}

const same = (a: Value, b: Value) => JSON.stringify(a) === JSON.stringify(b);

const sameRow = (a: Row, b: Row) =>
  Object.keys(a).length === Object.keys(b).length &&
  Object.entries(a).every(([name, value]) => same(value, b[name] ?? null));

function sourceCodecs(translator: RowTranslator): ReadonlyMap<string, Codec> {
  return new Map(
    translator.targets.flatMap(({ columns }) =>
      Object.values(columns).map(({ from, codec }) => [from, codec] as const),
    ),
  );
}

const targetCodecs = (target: TargetDeclaration): ReadonlyMap<string, Codec> =>
  new Map(Object.entries(target.columns).map(([name, { codec }]) => [name, codec] as const));

/** Both laws of a translator, for rows generated from its declared columns. @throws with the counterexample */
export function checkTranslatorLaws(
  check: FastCheck,
  translator: RowTranslator,
  parameters: LawParameters = {},
): void {
  check.assert(
    check.property(rowOf(check, sourceCodecs(translator), 'legacy'), (row) => {
      const returned = translator
        .forward(row)
        .map(({ table, columns }) => translator.back(table, columns).columns);
      return sameRow(Object.assign({}, ...returned), row);
    }),
    parameters,
  );
  for (const target of translator.targets)
    check.assert(
      check.property(rowOf(check, targetCodecs(target), 'model'), (columns) => {
        const model = { ...columns, ...target.constants };
        const source = translator.back(target.table, model).columns;
        // Other targets' source columns do not matter to this one; any accepted value stands in for them.
        const [other] = check.sample(rowOf(check, sourceCodecs(translator), 'legacy'), {
          numRuns: 1,
          seed: 1,
        });
        const again = translator.forward({ ...other, ...source }).find(({ table }) => table === target.table);
        return again !== undefined && sameRow(again.columns, model);
      }),
      parameters,
    );
}

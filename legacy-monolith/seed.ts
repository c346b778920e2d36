// node seed.ts: fills an empty shop. Progress on standard error; one line of JSON on standard output at the end.
import { parseArgs } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { migrate, reading, sqlMode } from './database.ts';
import { type DatabaseAddress, OptionsError, readDatabase, readMigrations, readUploads } from './options.ts';
import { generated } from './seed/generated.ts';
import { imported } from './seed/imported.ts';
import { writePhotos } from './seed/photos.ts';
import { createRandom } from './seed/random.ts';
import { type Counts, writeSeed } from './seed/write.ts';

const usage = `usage: node seed.ts [--reviews N] [--seed N]      N generated reviews (5000), and a shop around them
       node seed.ts --import FILE [--seed N]      the reviews of a TSV file, plain or gzipped
Same arguments, same rows. A database that has members already stays as it is: {"seeded":false}.
LEGACY_DATABASE_URL names the database; member1 to member20 log in with "shop1234".
`;

type Arguments = { seed: number; reviews: number; file: string | undefined };

function wholeNumber(name: string, text: string, max: number): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= max)) throw new OptionsError(`--${name} must be a whole number up to ${max}, not "${text}"`);
  return value;
}

/** @returns undefined when only the usage is asked for */
function readArguments(args: string[]): Arguments | undefined {
  const { values } = parseArgs({
    args,
    options: {
      reviews: { type: 'string' },
      seed: { type: 'string', default: '1' },
      import: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return undefined;
  if (values.import !== undefined && values.reviews !== undefined)
    throw new OptionsError('--import brings its own reviews: leave --reviews out');
  return {
    seed: wholeNumber('seed', values.seed, 4_294_967_295),
    reviews: wholeNumber('reviews', values.reviews ?? '5000', 10_000_000),
    file: values.import,
  };
}

const say = (line: string) => process.stderr.write(`seed: ${line}\n`);

/** @returns undefined when there are members already */
async function seed(
  address: DatabaseAddress,
  { seed, reviews, file }: Arguments,
): Promise<Counts | undefined> {
  const sql = await createConnection({ ...address, ...reading });
  try {
    await sql.query(`SET SESSION sql_mode = '${sqlMode}'`);
    const [members] = await sql.query('SELECT 1 FROM TB_MBR LIMIT 1');
    if (Array.isArray(members) && members.length > 0) return undefined;
    const random = createRandom(seed);
    const source = file === undefined ? await generated(random, reviews) : await imported(random, file);
    say(
      `${source.reviewCount} reviews of ${source.products.length} products by ${source.members.length} members …`,
    );
    return await writeSeed(sql, random, source, (count) => say(`${count} of ${source.reviewCount} reviews`));
  } finally {
    await sql.end();
  }
}

try {
  const wanted = readArguments(process.argv.slice(2));
  if (wanted === undefined) process.stdout.write(usage);
  else {
    const address = readDatabase(process.env);
    await migrate(address, readMigrations(process.env));
    const counts = await seed(address, wanted);
    if (counts === undefined) say(`${address.database} has members already: nothing is changed`);
    else {
      writePhotos(readUploads(process.env));
      say(
        `${counts.reviews} reviews are in: ${counts.empty} without a text, ${counts.referenced} with references for what euckr cannot hold`,
      );
    }
    process.stdout.write(`${JSON.stringify({ seeded: counts !== undefined, ...counts })}\n`);
  }
} catch (error) {
  const message =
    error instanceof Error ? error.message || String(Reflect.get(error, 'code')) : String(error);
  process.stderr.write(`seed: ${message.replace(/\s*\n\s*/g, ' ')}\n`);
  process.exit(1);
}

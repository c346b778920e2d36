// Real reviews from a tab-separated file: review_id, product_id, author, rating 1-10, date YY.MM.DD, text, with a
// header, and `\\`, `\t`, `\n` for a backslash, a tab and a line break in the text.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Source } from './generated.ts';
import { member, people, product, type SeedMember, type SeedProduct } from './people-and-products.ts';
import type { Random } from './random.ts';
import type { Said } from './reviews.ts';

/** A line that is not what the header promises. */
export class ImportError extends Error {
  override name = 'ImportError';
}

const header = 'review_id\tproduct_id\tauthor\trating\tdate\ttext';
const idMax = 4_294_967_295; // INT UNSIGNED

type Line = { id: number; productId: number; author: string; rating: number; date: number; text: string };

const unescaped = (text: string): string =>
  text.replace(/\\([\\tn])/g, (_, letter) => (letter === 't' ? '\t' : letter === 'n' ? '\n' : '\\'));

function parse(line: string, where: string): Line {
  const [id = '', productId = '', author = '', rating = '', date = '', text, ...more] = line.split('\t');
  const fault = (what: string) => new ImportError(`${where}: ${what}`);
  if (text === undefined || more.length > 0) throw fault('there must be six fields, separated by tabs');
  for (const number of [id, productId])
    if (!/^[1-9]\d{0,9}$/.test(number) || Number(number) > idMax)
      throw fault(`"${number}" is no number from 1 to ${idMax}`);
  if (!/^[\x21-\x7e]{1,20}$/.test(author))
    throw fault(`"${author}" is no author: 1 to 20 printable ASCII characters`);
  if (!/^([1-9]|10)$/.test(rating)) throw fault(`"${rating}" is no rating from 1 to 10`);
  const [, year, month, day] = /^(\d\d)\.(\d\d)\.(\d\d)$/.exec(date) ?? [];
  const at = Date.UTC(2000 + Number(year), Number(month) - 1, Number(day));
  if (!(new Date(at).getUTCDate() === Number(day))) throw fault(`"${date}" is no date YY.MM.DD`);
  return {
    id: Number(id),
    productId: Number(productId),
    author,
    rating: Number(rating),
    date: at,
    text: unescaped(text),
  };
}

/** @throws ImportError with file and line number */
function readLines(file: string): Line[] {
  const bytes = readFileSync(file);
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const lines = (isGzip ? gunzipSync(bytes) : bytes).toString('utf8').split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  if (lines[0] !== header)
    throw new ImportError(`${file}: its first line must be ${header.replaceAll('\t', '<tab>')}`);
  return lines.slice(1).map((line, index) => parse(line, `${file}:${index + 2}`));
}

/**
 * Every line becomes a review that is shown, under its own number; products and members are made for those the
 * lines name. The time of day is made from the number.
 */
export async function imported(random: Random, file: string): Promise<Source> {
  const lines = readLines(file);
  const members: SeedMember[] = await people(random);
  // As the column compares: "Jang" and "jang" are one member.
  const authors = new Map<string, SeedMember>(members.map((one) => [one.id, one]));
  const products = new Map<number, SeedProduct>();
  const reviews = lines.map((line): Said => {
    const author = authors.get(line.author.toLowerCase()) ?? member(random, line.author, false);
    if (!authors.has(line.author.toLowerCase())) members.push(author);
    authors.set(line.author.toLowerCase(), author);
    const about = products.get(line.productId) ?? product(random, line.productId);
    products.set(line.productId, about);
    const at = line.date + ((Math.imul(line.id, 0x9e3779b1) >>> 0) % 86_400) * 1_000;
    return {
      sequence: line.id,
      product: about,
      author,
      halfStars: line.rating,
      text: line.text,
      at,
      mayBeTouched: false,
    };
  });
  return { members, products: [...products.values()], reviewCount: reviews.length, reviews };
}

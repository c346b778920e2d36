// Which characters a column's character set can hold, by MariaDB's own tables (compared code point by code
// point with a real server in acl/repertoire.mysql.test.ts).

export type Repertoire = {
  /** MySQL's name of the character set. */
  readonly name: string;
  holds(codePoint: number): boolean;
  /** The first code point outside it, a lone surrogate among them; undefined when the text is inside. */
  firstOutside(text: string): number | undefined;
};

function repertoire(name: string, holds: (codePoint: number) => boolean): Repertoire {
  return {
    name,
    holds,
    firstOutside(text) {
      for (let i = 0; i < text.length; i++) {
        const unit = text.charCodeAt(i);
        if (unit < 0x80) continue;
        const codePoint = text.codePointAt(i) ?? unit;
        if (!holds(codePoint)) return codePoint;
        if (codePoint > 0xffff) i++;
      }
      return undefined;
    },
  };
}

const isSurrogate = (codePoint: number) => codePoint >= 0xd800 && codePoint <= 0xdfff;

export const ascii = repertoire('ascii', (codePoint) => codePoint < 0x80);

export const utf8mb4 = repertoire('utf8mb4', (codePoint) => !isSurrogate(codePoint));

/**
 * MySQL's euckr is the Unified Hangul Code: KS X 1001, every modern syllable, and the two signs that the
 * 1998 edition added. Node's decoder knows KS X 1001 alone, and maps its user area to private use.
 */
function euckrTable(): Uint8Array {
  const table = new Uint8Array(0x10000);
  table.fill(1, 0, 0x80);
  table.fill(1, 0xac00, 0xd7a4);
  table[0xae] = 1; // ®
  table[0x20ac] = 1; // €
  const decoder = new TextDecoder('euc-kr');
  for (let lead = 0xa1; lead <= 0xfe; lead++)
    for (let trail = 0xa1; trail <= 0xfe; trail++) {
      const text = decoder.decode(Uint8Array.of(lead, trail));
      const unit = text.charCodeAt(0);
      const isPrivate = unit >= 0xe000 && unit <= 0xf8ff;
      if (text.length === 1 && unit !== 0xfffd && !isPrivate) table[unit] = 1;
    }
  return table;
}

const euckrHolds = euckrTable();

export const euckr = repertoire('euckr', (codePoint) => euckrHolds[codePoint] === 1);

// What the euckr tables can hold. A browser that sends a form in euc-kr writes `&#N;` for what the character
// set lacks; the shop does the same before it stores, so that old and new rows read alike.

/**
 * The characters of MariaDB's and MySQL's `euckr`, which is Microsoft's code page 949: ASCII, KS X 1001, and
 * every one of the 11,172 Hangul syllables. A TextDecoder need not be that generous: by the Encoding Standard
 * its euc-kr is code page 949, but Node's follows ICU's, which is KS X 1001 alone, without the 8,822 syllables
 * of the extension, U+00AE and U+20AC, and with two rows of private use that the servers refuse. So the
 * decoder says what the symbols and Hanja are, and the rest is added and taken away here.
 */
function repertoire(): ReadonlySet<number> {
  const held = new Set<number>([0xae, 0x20ac]);
  for (let ascii = 0; ascii < 0x80; ascii++) held.add(ascii);
  for (let syllable = 0xac00; syllable <= 0xd7a3; syllable++) held.add(syllable);
  const decoder = new TextDecoder('euc-kr');
  for (let lead = 0xa1; lead <= 0xfe; lead++) {
    for (let trail = 0xa1; trail <= 0xfe; trail++) {
      const [character, more] = decoder.decode(Uint8Array.of(lead, trail));
      const codePoint = character?.codePointAt(0) ?? 0xfffd;
      const privateUse = codePoint >= 0xe000 && codePoint <= 0xf8ff;
      if (more === undefined && codePoint !== 0xfffd && !privateUse) held.add(codePoint);
    }
  }
  return held;
}

const held = repertoire();

/** Whether an euckr column gives this code point back as it was. */
export const euckrHolds = (codePoint: number): boolean => held.has(codePoint);

/** The text with `&#N;` for each character that an euckr column cannot hold; half a surrogate pair is U+FFFD. */
export function toEuckr(text: string): string {
  let stored = '';
  for (const character of text.toWellFormed()) {
    const codePoint = character.codePointAt(0) ?? 0xfffd;
    stored += held.has(codePoint) ? character : `&#${codePoint};`;
  }
  return stored;
}

/** Without control characters, line breaks and tabs excepted: what every text field of a form goes through. */
export const withoutControls = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, '');

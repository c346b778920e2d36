// MySQL's euckr is the Unified Hangul Code (code page 949); Node's decoder of that name, and of windows-949,
// is the narrower KS X 1001 alone. The other 8,822 syllables are at byte pairs that KS X 1001 leaves free, in
// the order of Unicode, so the table is made here instead of being carried along.

/** Trail bytes of the pairs that KS X 1001 leaves free: letters and everything above, up to its own square. */
function trailBytes(lead: number): number[] {
  const trails: number[] = [];
  const last = lead < 0xa1 ? 0xfe : 0xa0;
  for (let trail = 0x41; trail <= last; trail++)
    if (trail <= 0x5a || (trail >= 0x61 && trail <= 0x7a) || trail >= 0x81) trails.push(trail);
  return trails;
}

function makeTable(): Uint16Array {
  const units = new Uint16Array(0x8000);
  const inSquare = new Set<number>();
  const decoder = new TextDecoder('euc-kr');
  for (let lead = 0xa1; lead <= 0xfe; lead++)
    for (let trail = 0xa1; trail <= 0xfe; trail++) {
      const text = decoder.decode(Uint8Array.of(lead, trail));
      const unit = text.charCodeAt(0);
      // The user area is given as private use by Node; the server has nothing there.
      if (text.length !== 1 || unit === 0xfffd || (unit >= 0xe000 && unit <= 0xf8ff)) continue;
      units[((lead & 0x7f) << 8) | trail] = unit;
      inSquare.add(unit);
    }
  // The two signs of the 1998 edition.
  units[0x22e6] = 0x20ac;
  units[0x22e7] = 0xae;
  let syllable = 0xac00;
  for (let lead = 0x81; lead <= 0xc6; lead++)
    for (const trail of trailBytes(lead)) {
      while (inSquare.has(syllable)) syllable++;
      if (syllable > 0xd7a3) return units;
      units[((lead & 0x7f) << 8) | trail] = syllable++;
    }
  return units;
}

let table: Uint16Array | undefined;

/** UTF-16 units by (lead & 0x7f) << 8 | trail; 0 where there is no character. */
export function euckrUnits(): Uint16Array {
  table ??= makeTable();
  return table;
}

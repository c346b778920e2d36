// What large answers are read into. They come back when they have been written, and are read into again while the processor still has
// them near: memory that is new each time costs more than all else of a large answer. There are only so many: where clients do not read,
// answers stand still in smaller ones.

const largeBytes = 512 * 1024;
const largeMax = 32;
const usualBytes = 64 * 1024;

const spare: Buffer[] = [];
/** Those that there are, spare or not. */
let large = 0;
/** What nobody gives back, the garbage collector finds. */
const lost = new FinalizationRegistry(() => {
  large -= 1;
});
const ours = new WeakSet<ArrayBufferLike>();

export function takeBuffer(): Buffer {
  const known = spare.pop();
  if (known) return known;
  if (large >= largeMax) return Buffer.allocUnsafeSlow(usualBytes);
  const buffer = Buffer.allocUnsafeSlow(largeBytes);
  large += 1;
  ours.add(buffer.buffer);
  lost.register(buffer.buffer, undefined);
  return buffer;
}

/**
 * Once for what was taken, by whoever has it last. Other memory is left alone.
 * @param chunk all of it, or a part: then nobody has another part
 */
export function giveBack({ buffer }: Buffer): void {
  if (ours.has(buffer)) spare.push(Buffer.from(buffer));
}

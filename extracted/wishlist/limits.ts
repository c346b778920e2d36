// The service accepts only what the columns of TB_WISH hold and give back as it was. What euckr holds the
// server itself decides, in strict mode (see errors.ts); the rest it would cut off or not mind.
import { WishlistError } from './errors.ts';

/** VARCHAR(20) and VARCHAR(100): characters, not bytes. */
const memberIdMax = 20;
const memoMax = 100;
const intUnsignedMax = 4_294_967_295;

/** @throws WishlistError not-storable, for each of these */
export function checkMemberId(memberId: string): void {
  checkText('memberId', memberId, 1, memberIdMax);
  // As keys, `kim` and `kim ` are one.
  if (memberId.endsWith(' ')) refuse('memberId', 'ends with a space');
}

export function checkProductId(productId: number): void {
  if (productId > intUnsignedMax) refuse('productId', `must be from 1 to ${intUnsignedMax}`);
}

export function checkMemo(memo: string): void {
  checkText('memo', memo, 0, memoMax);
}

function checkText(field: string, text: string, min: number, max: number): void {
  const length = [...text].length;
  // Strict mode does not mind when what it cuts off is spaces.
  if (length < min || length > max) refuse(field, `must have ${min} to ${max} characters`);
  if (!text.isWellFormed()) refuse(field, 'contains half of a surrogate pair');
  if (/\p{Cc}/u.test(text)) refuse(field, 'contains a control character');
}

function refuse(field: string, reason: string): never {
  throw new WishlistError('not-storable', `${field} ${reason}`, field);
}

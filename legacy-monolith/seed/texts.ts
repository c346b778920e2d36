// Names and reviews as Korean customers write them: short, long, empty, with emoji and with syllables that
// only code page 949 has.
import type { Random } from './random.ts';

const surnames = [...'김이박최정강조윤장임한오서신권황안송류홍'];
const givenNames = [...'민서지현수연우진하은영준도윤재성경혜선유나호태'];

export const personName = (random: Random): string =>
  random.pick(surnames) + random.pick(givenNames) + random.pick(givenNames);

const makes = [
  '한울',
  '새벽',
  '푸른솔',
  '모던',
  '클래식',
  '프리미엄',
  '데일리',
  '내추럴',
  '북유럽풍',
  '국민',
];
const goods = [
  ['면 티셔츠', '의류'],
  ['니트 가디건', '의류'],
  ['등산 양말 5켤레', '의류'],
  ['스테인리스 텀블러 500ml', '주방'],
  ['무쇠 프라이팬 28cm', '주방'],
  ['밥공기 세트', '주방'],
  ['무선 이어폰', '전자'],
  ['USB-C 충전기 65W', '전자'],
  ['탁상용 LED 스탠드', '전자'],
  ['순면 이불 (퀸)', '침구'],
  ['메모리폼 베개', '침구'],
  ['어린이 그림책 10권', '도서'],
  ['캠핑 의자', '레저'],
  ['요가 매트 10mm', '레저'],
  ['제주 감귤 5kg', '식품'],
  ['참기름 320ml', '식품'],
] as const;
const tags = ['무료배송', '신상품', '베스트', '한정수량', '당일발송', '세일'];

export function productName(random: Random): { name: string; tagList: string } {
  const [good, kind] = random.pick(goods);
  const name = `${random.pick(makes)} ${good} ${random.pick(['A', 'B', 'S', 'X'])}${100 + random.int(900)}`;
  const more = tags.filter(() => random.chance(0.25));
  return { name, tagList: [kind, ...more].join(',') };
}

const openers = [
  '배송이 정말 빨랐어요.',
  '주문하고 이틀 만에 받았습니다.',
  '선물용으로 샀는데',
  '두 번째 구매입니다.',
  '솔직히 말하면',
  '가격 보고 샀는데',
  '엄마가 쓰시는데',
  '후기 보고 믿고 샀습니다.',
];
const good = [
  '마음에 쏙 들어요',
  '가성비 최고입니다',
  '색상이 화면과 똑같아요',
  '튼튼하고 가볍습니다',
  '다음에도 또 살게요',
  '포장이 꼼꼼했어요',
  '왜 이제야 샀나 싶네요',
];
const middling = [
  '그냥 그래요',
  '나쁘지는 않아요',
  '생각보다 작네요',
  '이 가격이면 괜찮은 편',
  '조금 더 써 봐야 알 것 같아요',
];
const bad = [
  '마감이 별로예요',
  '한 번 쓰고 고장 났어요',
  '사진과 너무 달라요',
  '냄새가 심합니다',
  '환불하고 싶어요',
  '다시는 안 삽니다',
];
const closers = [
  '',
  '',
  '',
  ' ㅎㅎ',
  ' ㅠㅠ',
  '!!',
  '~',
  ' 강추',
  ' 참고하세요.',
  ' (재구매 의사 있음)',
  ' "별 다섯 개"',
  ' C:\\쇼핑\\후기',
  ' <3',
  ' A&S도 친절',
  ' 100% 만족',
  '\n사진은 나중에 올릴게요.',
];
const emoji = ['😀', '👍', '❤️', '😭', '🎁', '🇰🇷', '👨‍👩‍👧', '✨'];
const rare = ['똠양꿍 맛이 나요', '펲시 같은 색', '뷁', '아햏햏', '꽥', '쌰앙', '갂갂'];

/** @param stars half stars, 1 to 10: what is said goes with them */
export function reviewText(random: Random, stars: number): string {
  if (random.chance(0.005)) return '';
  const verdicts = stars >= 7 ? good : stars >= 5 ? middling : bad;
  const sentences = 1 + random.few(0.6, 20);
  let text = '';
  for (let count = 0; count < sentences; count++) {
    text += `${count > 0 ? ' ' : ''}${random.chance(0.5) ? `${random.pick(openers)} ` : ''}${random.pick(verdicts)}`;
    text += random.pick(closers);
  }
  if (random.chance(0.02)) text += ` ${random.pick(rare)}`;
  if (random.chance(0.03)) text += ` ${random.pick(emoji)}${random.chance(0.3) ? random.pick(emoji) : ''}`;
  return text;
}

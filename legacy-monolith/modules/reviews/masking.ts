// The words of a member who has left are nobody's to read, whether or not they have been written over by then.

export const maskedText = '탈퇴한 회원이 남긴 리뷰입니다.';

/** What is shown of a review's text. @param leavYn of its member; null when the member's row is gone */
export const shownText = (text: string, leavYn: string | null): string =>
  leavYn === 'Y' ? maskedText : text;
